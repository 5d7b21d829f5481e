/**
 * The ledger of every queue adds up, whatever a test did: the harness asks before a broker ends and after it has started
 * again, so that every end-to-end test has it.
 */
import { request } from "./rest.ts";

const QUEUES = "/api/v5/message_queues/queues";
/** Queues in one page, and asked at a time. */
const PAGE = 100;

/** What is a count and what those counts must add up to; a status has more. */
const COUNTS = [
  "stored",
  "waiting",
  "in_flight",
  "acknowledged",
  "expired",
  "superseded",
  "dropped",
  "dead_lettered",
  "purged",
  "refused",
  "waiting_bytes",
] as const;
type Count = (typeof COUNTS)[number];
export type Counts = Readonly<Record<Count | "difference", number>> & { readonly name: string };

/** What is wrong with a queue's counts; undefined when they add up. */
export function ledgerFault(status: Counts): string | undefined {
  const bad = COUNTS.filter((count) => !Number.isInteger(status[count]) || status[count] < 0);
  if (bad.length > 0) return `${status.name}: ${bad.join(", ")} of ${JSON.stringify(status)}`;
  const { stored, waiting, in_flight, acknowledged, expired, superseded, dropped, dead_lettered, purged } = status;
  const found = stored - waiting - in_flight - acknowledged - expired - superseded - dropped - dead_lettered - purged;
  if (found === 0 && status.difference === 0) return undefined;
  return `${status.name}: the ledger differs by ${found}, and says ${status.difference}: ${JSON.stringify(status)}`;
}

/** @throws when some queue's counts do not add up, or the broker does not answer. */
export async function checkLedgers(broker: { readonly url: string }): Promise<void> {
  for (let cursor = ""; ; ) {
    const page = await request(broker, "GET", `${QUEUES}?limit=${PAGE}${cursor}`);
    if (page.status === 503) return; // The test has turned queues off.
    if (page.status !== 200) throw new Error(`GET ${QUEUES}: ${page.status} ${JSON.stringify(page.body)}`);
    const { data, meta } = page.body as Page;
    const faults = await Promise.all(data.map(({ name }) => faultOf(broker, name)));
    const found = faults.filter((fault) => fault !== undefined);
    if (found.length > 0) throw new Error(found.join("\n"));
    if (meta.cursor === undefined) return;
    cursor = `&cursor=${encodeURIComponent(meta.cursor)}`;
  }
}

async function faultOf(broker: { readonly url: string }, name: string): Promise<string | undefined> {
  const { status, body } = await request(broker, "GET", `${QUEUES}/${encodeURIComponent(name)}/status`);
  if (status === 404) return undefined; // Deleted meanwhile.
  return status === 200 ? ledgerFault(body as Counts) : `status of ${name}: ${status} ${JSON.stringify(body)}`;
}

interface Page {
  readonly data: readonly { readonly name: string }[];
  readonly meta: { readonly cursor?: string };
}

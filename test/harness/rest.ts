/** The REST API as its users call it: `fetch` with basic auth for most tests, the real `curl` for the documented calls. */
import { API_KEY, API_SECRET } from "./broker.ts";
import { run } from "./process.ts";

interface WithUrl {
  readonly url: string;
}

export interface Answer {
  readonly status: number;
  /** The parsed JSON body; undefined when there is none. */
  readonly body: unknown;
}

const QUEUES = "/api/v5/message_queues/queues";

/** One call with the harness's API key. */
export async function request(broker: WithUrl, method: string, path: string, body?: unknown): Promise<Answer> {
  const authorization = `Basic ${Buffer.from(`${API_KEY}:${API_SECRET}`).toString("base64")}`;
  const response = await fetch(broker.url + path, {
    method,
    headers: body === undefined ? { authorization } : { authorization, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === "" ? undefined : parsed(text) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/**
 * Creates a queue; regular unless told otherwise.
 * @throws when the answer is not a success.
 */
export async function createQueue(broker: WithUrl, definition: Readonly<Record<string, unknown>>): Promise<void> {
  const answer = await request(broker, "POST", QUEUES, { is_lastvalue: false, ...definition });
  if (answer.status < 200 || answer.status > 299) {
    throw new Error(`POST ${QUEUES}: ${answer.status} ${JSON.stringify(answer.body)}`);
  }
}

export async function deleteQueue(broker: WithUrl, name: string): Promise<number> {
  return (await request(broker, "DELETE", `${QUEUES}/${encodeURIComponent(name)}`)).status;
}

/** What `GET …/:name/status` answers, as far as the tests read it. */
export interface Ledger {
  readonly stored: number;
  readonly waiting: number;
  readonly in_flight: number;
  readonly acknowledged: number;
  readonly superseded: number;
  readonly dropped: number;
  readonly purged: number;
  readonly refused: number;
  readonly difference: number;
  readonly waiting_bytes: number;
  readonly consumers: readonly { readonly clientid: string; readonly in_flight: number }[];
}

/** @throws when the queue does not answer 200. */
export async function ledgerOf(broker: WithUrl, name: string): Promise<Ledger> {
  const answer = await request(broker, "GET", `${QUEUES}/${encodeURIComponent(name)}/status`);
  if (answer.status !== 200) throw new Error(`status of ${name}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body as Ledger;
}

/** The documented way: curl with `-u key:secret` and a JSON body. Answers the HTTP status and the body. */
export async function curl(
  broker: WithUrl,
  method: string,
  path: string,
  body: string,
): Promise<{ readonly status: number; readonly body: string }> {
  const url = broker.url + path;
  const json = ["-H", "Content-Type: application/json", "-d", body];
  const finished = await run("curl", [
    "-sS",
    "--max-time",
    "10",
    "-w",
    "\n%{http_code}",
    "-u",
    `${API_KEY}:${API_SECRET}`,
    "-X",
    method,
    url,
    ...json,
  ]);
  if (finished.code !== 0) throw new Error(`curl: ${finished.stderr}`);
  const at = finished.stdout.lastIndexOf("\n");
  return { status: Number(finished.stdout.slice(at + 1)), body: finished.stdout.slice(0, at) };
}

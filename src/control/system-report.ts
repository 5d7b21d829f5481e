/**
 * What the broker says about itself: the topics below `$SYS/broker`, with mosquitto's names and units, and their values from one
 * update to the next. docs/sys-topics.md has a row for each.
 */
import { getHeapStatistics } from "node:v8";
import { VERSION } from "../base/version.ts";
import type { SystemValue, WorkerCounts } from "../worker/commands.ts";

/** The sums over all workers, and what is known of the process. */
interface Totals extends WorkerCounts {
  readonly uptimeS: number;
  readonly clientsMaximum: number;
  readonly heapBytesMaximum: number;
}

const ROOT = "$SYS/broker/";

/** Topics whose value is told as it is. */
const VALUES: readonly (readonly [name: string, textOf: (totals: Totals) => number | string])[] = [
  ["version", () => `restante version ${VERSION}`],
  ["uptime", ({ uptimeS }) => `${uptimeS} seconds`],
  ["clients/connected", (totals) => totals.clientsConnected],
  ["clients/active", (totals) => totals.clientsConnected],
  ["clients/disconnected", (totals) => totals.clientsAway],
  ["clients/inactive", (totals) => totals.clientsAway],
  ["clients/total", (totals) => totals.clientsConnected + totals.clientsAway],
  ["clients/maximum", (totals) => totals.clientsMaximum],
  ["clients/expired", (totals) => totals.clientsExpired],
  ["messages/received", (totals) => totals.packetsReceived],
  ["messages/sent", (totals) => totals.packetsSent],
  ["messages/stored", (totals) => totals.storedMessages],
  ["publish/messages/received", (totals) => totals.publishesReceived],
  ["publish/messages/sent", (totals) => totals.publishesSent],
  ["publish/messages/dropped", (totals) => totals.publishesDropped],
  ["publish/bytes/received", (totals) => totals.publishBytesReceived],
  ["publish/bytes/sent", (totals) => totals.publishBytesSent],
  ["bytes/received", (totals) => totals.bytesReceived],
  ["bytes/sent", (totals) => totals.bytesSent],
  ["subscriptions/count", (totals) => totals.subscriptions],
  ["shared_subscriptions/count", (totals) => totals.sharedSubscriptions],
  ["retained messages/count", (totals) => totals.retainedMessages],
  ["store/messages/count", (totals) => totals.storedMessages],
  ["store/messages/bytes", (totals) => totals.storedBytes],
  ["heap/current", (totals) => totals.heapBytes],
  ["heap/maximum", (totals) => totals.heapBytesMaximum],
];

/** Topics that are averages, per minute, of what a count grows by. */
const LOADS: readonly (readonly [name: string, count: keyof WorkerCounts])[] = [
  ["load/messages/received", "packetsReceived"],
  ["load/messages/sent", "packetsSent"],
  ["load/publish/received", "publishesReceived"],
  ["load/publish/sent", "publishesSent"],
  ["load/publish/dropped", "publishesDropped"],
  ["load/bytes/received", "bytesReceived"],
  ["load/bytes/sent", "bytesSent"],
  ["load/connections", "connects"],
];
const MINUTES = [1, 5, 15] as const;
const MS_PER_MINUTE = 60_000;

/** Every topic there is. */
export const SYSTEM_TOPICS: readonly string[] = [
  ...VALUES.map(([name]) => `${ROOT}${name}`),
  ...LOADS.flatMap(([name]) => MINUTES.map((minutes) => `${ROOT}${name}/${minutes}min`)),
];

export class SystemReport {
  readonly #startedAtMs: number;
  readonly #told = new Map<string, string>();
  readonly #loads = new Map<string, number>();
  #before: WorkerCounts | undefined;
  #beforeMs: number;
  #clientsMaximum = 0;
  #heapBytesMaximum = 0;

  constructor(startedAtMs: number) {
    this.#startedAtMs = startedAtMs;
    this.#beforeMs = startedAtMs;
  }

  /** The values that are not what they were at the last update; at the first all. */
  update(counts: readonly WorkerCounts[], nowMs: number): SystemValue[] {
    const own = getHeapStatistics();
    const sum = sumOf(counts, own.used_heap_size + own.external_memory);
    this.#clientsMaximum = Math.max(this.#clientsMaximum, sum.clientsConnected);
    this.#heapBytesMaximum = Math.max(this.#heapBytesMaximum, sum.heapBytes);
    const totals: Totals = {
      ...sum,
      uptimeS: Math.max(0, Math.floor((nowMs - this.#startedAtMs) / 1000)),
      clientsMaximum: this.#clientsMaximum,
      heapBytesMaximum: this.#heapBytesMaximum,
    };
    const values: SystemValue[] = VALUES.map(([name, textOf]) => [`${ROOT}${name}`, `${textOf(totals)}`]);
    for (const [name, count] of LOADS)
      values.push(...this.#loadsOf(name, sum[count], this.#before?.[count] ?? 0, nowMs));
    this.#before = sum;
    this.#beforeMs = nowMs;
    const changed = values.filter(([topic, value]) => this.#told.get(topic) !== value);
    for (const [topic, value] of changed) this.#told.set(topic, value);
    return changed;
  }

  /** Averages that forget: what lies so many minutes back counts for 1/e. */
  #loadsOf(name: string, count: number, before: number, nowMs: number): SystemValue[] {
    const passedMs = nowMs - this.#beforeMs;
    return MINUTES.map((minutes) => {
      const topic = `${ROOT}${name}/${minutes}min`;
      const load = this.#loads.get(topic) ?? 0;
      const perMinute = passedMs > 0 ? ((count - before) * MS_PER_MINUTE) / passedMs : load;
      const next = perMinute + Math.exp(-Math.max(0, passedMs) / (minutes * MS_PER_MINUTE)) * (load - perMinute);
      this.#loads.set(topic, next);
      return [topic, next.toFixed(2)];
    });
  }
}

/** The sums over all workers; heaps: with the one of this thread. */
function sumOf(counts: readonly WorkerCounts[], ownHeapBytes: number): WorkerCounts {
  const sum: Record<keyof WorkerCounts, number> = { ...counts[0]! };
  for (const other of counts.slice(1)) {
    for (const name of Object.keys(sum) as (keyof WorkerCounts)[]) sum[name] += other[name];
  }
  sum.heapBytes += ownHeapBytes;
  return sum;
}

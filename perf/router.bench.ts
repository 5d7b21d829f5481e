/**
 * The router, by shape of traffic: hot topics, more topics than are remembered, topics never seen before, and matching while
 * subscriptions come and go. Checks that every match has as many subscribers as it must. Times are of the processor, which other programs disturb least.
 */
import { Region } from "../src/base/region.ts";
import { FilterIndex } from "../src/router/filter-index.ts";
import type { BenchRow } from "./ring.bench.ts";

interface Subscription {
  readonly session: object;
}

/** `size` "small" proves that it runs; "real" takes some seconds. */
export function routerBench(size: "small" | "real"): BenchRow[] {
  const matches = size === "small" ? 20_000 : 3_000_000;
  const devices = size === "small" ? 1_000 : 100_000;
  return [
    run("1 hot topic, 1 filter", 1, 1, matches, 0),
    run("1 hot topic", devices, 1, matches, 0),
    run("1,000 hot topics", devices, 1_000, matches, 0),
    run("as many topics as filters", devices, devices, matches, 0),
    run("1 hot topic, a change every 100 matches", devices, 1, matches, 100),
    run("1,000 hot topics, a change every 100 matches", devices, 1_000, matches, 100),
    newTopics(devices, matches),
  ];
}

/** Each device subscribes to `devices/N/command/#`; one more subscriber takes the commands of all. */
function indexOf(devices: number): FilterIndex<Subscription, object> {
  const index = new FilterIndex<Subscription, object>((subscription) => subscription.session, 99);
  for (let device = 0; device < devices; device += 1)
    index.addSubscriber(`devices/${device}/command/#`, { session: {} }, false);
  index.addSubscriber("devices/+/command/go", { session: {} }, false);
  return index;
}

function run(name: string, devices: number, topics: number, matches: number, changeEvery: number): BenchRow {
  const index = indexOf(devices);
  const region = Region.allocate(topics * 40);
  const lengths: number[] = [];
  for (let topic = 0; topic < topics; topic += 1)
    lengths.push(region.bytes.write(`devices/${topic}/command/go`, topic * 40));
  const comer = { session: {} };
  const reply = `devices/${devices}/command/#`;
  let found = 0;
  let changes = 0;
  const before = process.cpuUsage();
  for (let count = 0; count < matches; count += 1) {
    // Not in order: neighbours in the trie would share cache lines.
    const topic = (count * 7919) % topics;
    found += index.match(region, topic * 40, lengths[topic]!).subscribers.length;
    if (changeEvery === 0 || count % changeEvery !== 0) continue;
    if (changes % 2 === 0) index.addSubscriber(reply, comer, false);
    else index.removeSubscriber(reply, comer);
    changes += 1;
  }
  const { user, system } = process.cpuUsage(before);
  if (found !== 2 * matches) throw new Error(`router: ${found} subscribers in ${matches} matches`);
  return { name: `${devices} filters, ${name}`, nsPerOp: ((user + system) * 1e3) / matches };
}

/** Every topic is new: what a lookup costs when nothing is remembered. */
function newTopics(devices: number, matches: number): BenchRow {
  const index = indexOf(devices);
  const region = Region.allocate(64);
  const topicBytes = region.bytes.write("devices/00000000/command/go");
  const before = process.cpuUsage();
  let found = 0;
  for (let count = 0; count < matches; count += 1) {
    // Writes the count into the topic, last digit first, eight digits: devices have at most six.
    let at = 8;
    let rest = count;
    while (at < 16) {
      region.bytes[at] = 0x30 + (rest % 10);
      rest = Math.floor(rest / 10);
      at += 1;
    }
    found += index.match(region, 0, topicBytes).subscribers.length;
  }
  const { user, system } = process.cpuUsage(before);
  if (found < matches) throw new Error(`router: ${found} subscribers in ${matches} matches`);
  return { name: `${devices} filters, topics never seen before`, nsPerOp: ((user + system) * 1e3) / matches };
}

/**
 * Goal: docs/sys-topics.md says what `$SYS` has, and nothing else, and accounts for every topic that mosquitto has.
 * Method: its tables are compared with the code, and both with what a running mosquitto publishes.
 */
import { describe, expect, it } from "vitest";
import { SYSTEM_TOPICS } from "../../src/control/system-report.ts";
import { RESERVED_ROOTS } from "../../src/mqtt/topics.ts";
import { mosquittoSubscribe, startMosquitto } from "../harness/mosquitto.ts";
import { isMissing } from "../harness/needs.ts";
import { eventually } from "../harness/waiting.ts";
import { codesOf, pageOf, rowsOf, sectionOf } from "./pages.ts";

const page = pageOf("docs/sys-topics.md");

/** The topics of a table; `a/{1,5}min` is `a/1min` and `a/5min`. */
function topicsOf(heading: string): string[] {
  return rowsOf(sectionOf(page, heading)).flatMap(([cell]) => {
    const topic = codesOf(cell!)[0]!;
    const alternatives = /\{(.*)\}/.exec(topic);
    if (alternatives === null) return [`$SYS/broker/${topic}`];
    return alternatives[1]!.split(",").map((one) => `$SYS/broker/${topic.replace(alternatives[0], one)}`);
  });
}

const documented = topicsOf("Topics");
const leftOut = topicsOf("Left out");

it("has a row with unit and meaning for every topic, and for no other", () => {
  expect(documented.toSorted()).toEqual([...SYSTEM_TOPICS].toSorted());
  for (const row of rowsOf(sectionOf(page, "Topics"))) expect(row.filter((cell) => cell !== "")).toHaveLength(3);
});

it("has a row for every root that is not ordinary", () => {
  const roots = rowsOf(sectionOf(page, "Other roots that begin with `$`")).flatMap(([root]) => codesOf(root!));
  expect(roots).toEqual([...RESERVED_ROOTS]);
});

describe.skipIf(isMissing("mosquitto", "mosquittoClients"))("beside a mosquitto", () => {
  it("has every topic that it has, or a reason why not", async () => {
    const mosquitto = await startMosquitto(["sys_interval 1"]);
    const subscriber = mosquittoSubscribe(mosquitto.mqttPort, ["-t", "$SYS/#", "-F", "%t"]);
    const known = new Set([...documented, ...leftOut]);
    const theirs = (): Set<string> => new Set(subscriber.lines);
    // Its load averages come with the last of its topics, and only once there was traffic.
    await eventually("mosquitto publishes what it has", () => [...known].every((topic) => theirs().has(topic)), 30_000);
    expect([...theirs()].filter((topic) => !known.has(topic))).toEqual([]);
    subscriber.signal("SIGTERM");
    await subscriber.ended;
    await mosquitto.remove();
  });
});

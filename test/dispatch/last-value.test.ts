/**
 * Goal: of each key only the newest value is ever handed out, in the order of the last writes; a value in flight can still be
 * settled and never touches a newer one; a changed key expression counts from the next message on; all of it with a restart
 * at any point.
 * Method: examples on the real dispatcher and queue over a log in memory, each once as it is and once with a restart on the same
 * disk wherever the test says that there may be one.
 */
import { describe, expect, test } from "vitest";
import { SESSION_WINDOW_FULL } from "../../src/dispatch/credit.ts";
import type { QueueDefinition } from "../../src/queue/definition.ts";
import { userProperty } from "../queue/message.ts";
import { Bench } from "./bench.ts";

const byTopic = { is_lastvalue: true, key_expression: "message.topic", local_max_inflight: 100 } as const;
const byProperty = { key_expression: "message.headers.properties.User-Property.k" } as const;
const keyed = (key: string) => ({ properties: userProperty("k", key) });

describe.each([
  ["without a restart", false],
  ["with restarts in between", true],
])("%s", (_name, restarts) => {
  let definition: Partial<QueueDefinition> = byTopic;
  let bench = new Bench(definition);

  function begin(changes: Partial<QueueDefinition> = {}): void {
    definition = { ...byTopic, ...changes };
    bench = new Bench(definition);
  }

  /** What is on disk comes back; what was in flight waits again. */
  function perhapsRestart(): void {
    if (!restarts) return;
    for (let round = 0; round < 2; round += 1) bench.publish(0);
    const { nowMs, disk } = bench;
    bench = new Bench(definition, disk);
    bench.nowMs = nowMs;
  }

  function change(changes: Partial<QueueDefinition>): void {
    definition = { ...definition, ...changes };
    bench.update(changes);
  }

  const texts = (): string[] => {
    bench.attach();
    bench.pump();
    return bench.handed.map(({ payload }) => payload);
  };

  test("each key once, its newest, in the order of the last writes", () => {
    begin();
    const writes = [
      ["a", "a1"],
      ["b", "b1"],
      ["c", "c1"],
      ["a", "a2"],
      ["b", "b2"],
    ] as const;
    for (const [topic, payload] of writes) {
      bench.publish(1, { topic, payload });
      perhapsRestart();
    }
    expect(texts()).toEqual(["c1", "a2", "b2"]);
    bench.settleAll();
    expect(bench.dispatcher.status(0)).toMatchObject({ stored: 5, superseded: 2, acknowledged: 3, difference: 0 });
  });

  test("several values of a key in one batch", () => {
    begin();
    for (const payload of ["1", "2", "3"]) bench.offer(1, { topic: "a", payload });
    bench.publish(0);
    perhapsRestart();
    expect(texts()).toEqual(["3"]);
  });

  test("an empty key is a key like another", () => {
    begin(byProperty);
    bench.publish(1, { payload: "empty 1", ...keyed("") });
    perhapsRestart();
    bench.publish(1, { payload: "other", ...keyed("x") });
    bench.publish(1, { payload: "empty 2", ...keyed("") });
    perhapsRestart();
    expect(texts()).toEqual(["other", "empty 2"]);
  });

  test("a changed key expression counts from the next message on; what is stored keeps its key", () => {
    begin();
    bench.publish(1, { topic: "a", payload: "a, by topic", ...keyed("k") });
    bench.publish(1, { topic: "b", payload: "b, by topic", ...keyed("k") });
    perhapsRestart();
    change(byProperty);
    perhapsRestart();
    // The same property as the stored ones, which are known by their topics.
    bench.publish(1, { topic: "c", payload: "k, first", ...keyed("k") });
    perhapsRestart();
    bench.publish(1, { topic: "c", payload: "k, second", ...keyed("k") });
    // The text of an old key: what a key is does not depend on where it comes from.
    bench.publish(1, { topic: "d", payload: "a, by property", ...keyed("a") });
    perhapsRestart();
    expect(texts()).toEqual(["b, by topic", "k, second", "a, by property"]);
  });

  test("overwriting refreshes a key's place: the stalest keys are the first that a limit takes", () => {
    const limits = { max_shard_message_count: 200, max_shard_message_bytes: "infinity" } as const;
    begin({ limits, overflow: "drop_oldest" });
    const portion = (name: string, text: string): void => {
      for (let index = 0; index < 80; index += 1) bench.publish(1, { topic: `${name}${index}`, payload: text });
      perhapsRestart();
    };
    portion("one/", "1");
    portion("two/", "2");
    portion("one/", "1 again");
    portion("three/", "3");
    const { waiting, superseded, dropped, difference } = bench.dispatcher.status(0);
    expect({ waiting, superseded, dropped, difference }).toEqual({
      waiting: 200,
      superseded: 80,
      dropped: 40,
      difference: 0,
    });
    change({ local_max_inflight: 1_000 });
    const runOf = (text: string, count: number): string[] => Array.from({ length: count }, () => text);
    expect(texts()).toEqual([...runOf("2", 40), ...runOf("1 again", 80), ...runOf("3", 80)]);
  });

  test("an acknowledgement of an old value leaves the newer one alone", () => {
    begin();
    bench.publish(1, { topic: "a", payload: "old" });
    const first = bench.attach();
    bench.pump();
    bench.slots.table.setPaused(first.slot, SESSION_WINDOW_FULL);
    bench.publish(1, { topic: "a", payload: "new" });
    bench.settle(first, bench.handed[0]!.position, true);
    expect(bench.dispatcher.status(0)).toMatchObject({ acknowledged: 1, waiting: 1, superseded: 0, difference: 0 });
    perhapsRestart();
    expect(texts().at(-1)).toBe("new");
    bench.settleAll();
    expect(bench.dispatcher.status(0)).toMatchObject({ acknowledged: 2, waiting: 0, difference: 0 });
  });

  test("an old value that comes back, or whose consumer is gone with the process, is not handed out after a newer one", () => {
    begin();
    bench.publish(1, { topic: "a", payload: "old" });
    const first = bench.attach();
    bench.pump();
    bench.slots.table.setPaused(first.slot, SESSION_WINDOW_FULL);
    bench.publish(1, { topic: "a", payload: "new" });
    if (!restarts) bench.detach(first);
    perhapsRestart();
    expect(texts().slice(restarts ? 0 : 1)).toEqual(["new"]);
    expect(bench.dispatcher.status(0)).toMatchObject({ superseded: 1, in_flight: 1, waiting: 0, difference: 0 });
  });
});

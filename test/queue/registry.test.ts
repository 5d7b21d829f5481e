/**
 * Goal: a subscription finds the queue it means, is told the moment that queue comes or goes, and keeps to its choice.
 * Method: examples against the real registry; the addresses as a table.
 */
import { describe, expect, test } from "vitest";
import { queueAddressOf } from "../../src/queue/queue-address.ts";
import { QueueRegistry } from "../../src/queue/registry.ts";
import { record } from "./definitions.ts";

const named = (name: string, topicFilter: string, createdAtMs: number, target = createdAtMs) =>
  record({ name, topic_filter: topicFilter }, target, createdAtMs);

test.each([
  ["jobs", undefined],
  ["$queue", undefined],
  ["$share/g/$queue/a", undefined],
  ["$queue/a", { kind: "named", name: "a", topicFilter: undefined }],
  ["$queue/a-1.b_c", { kind: "named", name: "a-1.b_c", topicFilter: undefined }],
  ["$queue/a/t/#", { kind: "named", name: "a", topicFilter: "t/#" }],
  ["$queue/a/", undefined],
  ["$queue/", undefined],
  ["$queue/-x", undefined],
  ["$queue/#", undefined],
  ["$queue/+/t", undefined],
  ["$queue//t/#", undefined],
  ["$q/t/#", { kind: "filter", topicFilter: "t/#" }],
  ["$q/", undefined],
])("%s", (filter, expected) => {
  expect(queueAddressOf(filter)).toEqual(expected);
});

describe("bindings", () => {
  function bound(registry: QueueRegistry, filter: string) {
    const address = queueAddressOf(filter);
    if (address === undefined) throw new Error(filter);
    const seen: (string | undefined)[] = [];
    const binding = registry.bind(address, (now) => seen.push(now?.definition.name));
    return { binding, seen };
  }

  test("a named queue: bound when it comes, only with the filter asked for, and again when it is made again", () => {
    const registry = new QueueRegistry();
    const any = bound(registry, "$queue/a");
    const exact = bound(registry, "$queue/a/t/#");
    registry.set(named("a", "u", 1));
    expect([any.seen, exact.seen]).toEqual([["a"], []]);
    registry.remove("a");
    registry.set(named("a", "t/#", 2));
    expect([any.seen, exact.seen]).toEqual([["a", undefined, "a"], ["a"]]);
    exact.binding.close();
    registry.remove("a");
    expect([any.seen.length, exact.seen.length]).toEqual([4, 1]);
  });

  test("$q: the unnamed queue, else the oldest named one; chosen again only when that one is deleted", () => {
    const registry = new QueueRegistry();
    registry.set(named("young", "t", 3));
    registry.set(named("old", "t", 2));
    registry.set(named("other", "u", 1));
    const { binding, seen } = bound(registry, "$q/t");
    expect(binding.record?.definition.name).toBe("old");
    registry.set(named("/t", "t", 4));
    expect(seen).toEqual([]);
    registry.remove("young");
    expect(seen).toEqual([]);
    registry.remove("old");
    expect(seen).toEqual(["/t"]);
    registry.remove("/t");
    expect(seen).toEqual(["/t", undefined]);
    registry.set(named("new", "t", 5));
    expect(seen).toEqual(["/t", undefined, "new"]);
  });

  test("a changed definition is no change of the binding, a queue made anew under its name is", () => {
    const registry = new QueueRegistry();
    registry.set(named("a", "t", 1));
    const { binding, seen } = bound(registry, "$queue/a");
    registry.set(record({ name: "a", topic_filter: "t", local_max_inflight: 3 }, 1, 1));
    expect(seen).toEqual([]);
    expect(binding.record?.definition.local_max_inflight).toBe(3);
    registry.set(named("a", "t", 9));
    expect(seen).toEqual([undefined, "a"]);
  });

  test("a listener may bind and close while it is told", () => {
    const registry = new QueueRegistry();
    const address = { kind: "named", name: "a", topicFilter: undefined } as const;
    const binding = registry.bind(address, () => {
      binding.close();
      registry.bind(address, () => undefined);
    });
    registry.set(named("a", "t", 1));
    expect(binding.record?.definition.name).toBe("a");
  });
});

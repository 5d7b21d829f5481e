/** What a world of clients and queues may be asked to do next; small numbers choose among what there is. */
import fc from "fast-check";
import type { DispatchStrategy, OverflowPolicy } from "../../src/queue/definition.ts";

export const TOPICS = ["a", "b/1", "b/2", "c"] as const;
export const FILTERS = ["$queue/q0", "$queue/q1", "$queue/q2", "$q/a", "$queue/q0/a", "$q/b/#"] as const;

export type Operation =
  | {
      readonly op: "publish";
      readonly publisher: number;
      readonly topic: number;
      readonly qos: 0 | 1 | 2;
      readonly lifeS: number;
      readonly count: number;
      readonly failing: number;
    }
  | { readonly op: "connect"; readonly client: number; readonly clean: boolean }
  | { readonly op: "disconnect" | "kick"; readonly client: number }
  | { readonly op: "subscribe"; readonly client: number; readonly filter: number; readonly qos: 0 | 1 }
  | { readonly op: "unsubscribe"; readonly client: number; readonly filter: number }
  | { readonly op: "settle"; readonly client: number; readonly which: number; readonly isAccepted: boolean }
  | { readonly op: "late"; readonly client: number; readonly which: number }
  | { readonly op: "pass"; readonly ms: number }
  | { readonly op: "update"; readonly queue: number; readonly strategy: DispatchStrategy; readonly window: number }
  | { readonly op: "limit"; readonly queue: number; readonly max: number; readonly overflow: OverflowPolicy }
  | { readonly op: "retain"; readonly queue: number; readonly ms: number }
  | { readonly op: "toggle" | "purge"; readonly queue: number }
  | { readonly op: "restart"; readonly workers: number; readonly isCrash: boolean };

const client = fc.nat(3);
const queue = fc.nat(3);
const filter = fc.nat(FILTERS.length - 1);
const weighted = (weight: number, arbitrary: fc.Arbitrary<Operation>): fc.WeightedArbitrary<Operation> => ({
  weight,
  arbitrary,
});
const of = <T extends Operation["op"]>(op: T): fc.Arbitrary<T> => fc.constant(op);

export const anyOperation: fc.Arbitrary<Operation> = fc.oneof(
  weighted(
    20,
    fc.record({
      op: of("publish"),
      publisher: fc.nat(1),
      topic: fc.nat(TOPICS.length - 1),
      qos: fc.constantFrom(0, 1, 1, 2),
      lifeS: fc.constantFrom(0, 0, 0, 1, 2),
      count: fc.constantFrom(1, 1, 2, 5),
      failing: fc.constantFrom(-1, -1, -1, -1, -1, 0, 1, 2),
    }),
  ),
  weighted(6, fc.record({ op: of("connect"), client, clean: fc.boolean() })),
  weighted(3, fc.record({ op: fc.constantFrom("disconnect", "disconnect", "kick"), client })),
  weighted(8, fc.record({ op: of("subscribe"), client, filter, qos: fc.constantFrom(0, 1, 1, 1) })),
  weighted(3, fc.record({ op: of("unsubscribe"), client, filter })),
  weighted(16, fc.record({ op: of("settle"), client, which: fc.nat(9), isAccepted: fc.boolean() })),
  weighted(2, fc.record({ op: of("late"), client, which: fc.nat(9) })),
  weighted(4, fc.record({ op: of("pass"), ms: fc.constantFrom(50, 100, 400, 2_500) })),
  weighted(
    2,
    fc.record({
      op: of("update"),
      queue,
      strategy: fc.constantFrom("random", "round_robin", "least_inflight"),
      window: fc.integer({ min: 1, max: 4 }),
    }),
  ),
  weighted(
    2,
    fc.record({
      op: of("limit"),
      queue,
      max: fc.constantFrom(1, 2, 4, Number.POSITIVE_INFINITY),
      overflow: fc.constantFrom("drop_oldest", "drop_newest", "reject"),
    }),
  ),
  weighted(1, fc.record({ op: of("retain"), queue, ms: fc.constantFrom(500, 2_000, 604_800_000) })),
  weighted(2, fc.record({ op: fc.constantFrom("toggle", "toggle", "purge"), queue })),
  weighted(2, fc.record({ op: of("restart"), workers: fc.integer({ min: 1, max: 3 }), isCrash: fc.boolean() })),
);

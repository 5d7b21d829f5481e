/**
 * Goal: what the store says of a QoS 2 identifier is read back as it was written, in both versions, and speaks for the right ones.
 * Method: property tests; a value of version 1 byte by byte.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { homePartitionOf } from "../../src/base/hash.ts";
import {
  decodeShares,
  encodeShares,
  hasShare,
  speaksForQueues,
  speaksForSession,
  unitedShares,
} from "../../src/worker/inbound-record.ts";

const own = { partitions: 3, partition: 1 };
const share = fc
  .tuple(fc.integer({ min: 1, max: 1_024 }), fc.nat())
  .map(([partitions, number]) => ({ partitions, partition: number % partitions }));
const shares = fc.uniqueArray(share, {
  maxLength: 6,
  selector: ({ partitions, partition }) => `${partition}/${partitions}`,
});

describe("the shares of a QoS 2 identifier", () => {
  it("are read back", () => {
    fc.assert(
      fc.property(shares, (all) => {
        expect(decodeShares(encodeShares(all), own)).toEqual(all);
      }),
    );
  });

  it("of version 1 are the partition where the value lies", () => {
    expect(decodeShares(Buffer.from([0]), own)).toEqual([own]);
  });

  it("are united without a repeat", () => {
    fc.assert(
      fc.property(shares, shares, (one, other) => {
        const united = unitedShares(one, other);
        for (const each of [...one, ...other])
          expect(united.filter((known) => hasShare([known], each))).toHaveLength(1);
        expect(united.every((each) => hasShare(one, each) || hasShare(other, each))).toBe(true);
      }),
    );
  });

  it("speak for the queues of a partition, and for the sessions whose home it was", () => {
    expect(speaksForQueues([own], 1)).toBe(true);
    expect(speaksForQueues([own], 2)).toBe(false);
    expect(speaksForQueues([], 0)).toBe(false);
    fc.assert(
      fc.property(fc.string(), shares, (clientId, all) => {
        const expected = all.some(({ partitions, partition }) => homePartitionOf(clientId, partitions) === partition);
        expect(speaksForSession(all, clientId)).toBe(expected);
      }),
    );
  });
});

/** Goal: where an adopted record comes from is read back as it was written, and a record of an ordinary message comes from nowhere. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { LOG_BATCH_NUMBERS_MAX, LOG_PARTITIONS_MAX } from "../../src/base/limits.ts";
import { RECORDS_PER_BATCH_MAX } from "../../src/log/contract.ts";
import { provenanceHigh, provenanceLow, provenanceOf } from "../../src/worker/provenance.ts";

const POSITION_MAX = LOG_BATCH_NUMBERS_MAX * RECORDS_PER_BATCH_MAX - 1;

it("is read back for every partition and position", () => {
  const isKept = (partition: number, position: number): void => {
    const keyHashHigh = provenanceHigh(partition, position);
    const keyHashLow = provenanceLow(position);
    expect([keyHashHigh, keyHashLow].every((word) => word >= 0 && word < 2 ** 32 && Number.isInteger(word))).toBe(true);
    expect(provenanceOf({ keyHashHigh, keyHashLow })).toEqual({ partition, position });
  };
  for (const partition of [0, 1, LOG_PARTITIONS_MAX - 1])
    for (const position of [0, 1, POSITION_MAX]) isKept(partition, position);
  fc.assert(
    fc.property(
      fc.nat(LOG_PARTITIONS_MAX - 1),
      fc.maxSafeNat().map((number) => number % POSITION_MAX),
      isKept,
    ),
  );
});

it("is absent in records that were not adopted", () => {
  expect(provenanceOf({ keyHashHigh: 0, keyHashLow: 0 })).toBeUndefined();
});

/**
 * QoS 2 identifiers in a raise. What one says of its message may concern sessions that come to any partition, so each partition
 * gets all of it; a session's new home gets to know the identifier in any case.
 *
 * ```
 *   shares of an identifier, from all partitions ─► united ─┬─ some ─► every partition
 *                                                           └─ none ─► where it was, and its session's new home
 * ```
 *
 * Nothing is swept: shares are true under either number of partitions, and PUBREL removes an identifier everywhere. Memory: the
 * identifiers that clients have not released, a few for each client that publishes just then.
 */
import { homePartitionOf } from "../base/hash.ts";
import { decodeShares, encodeShares, type Share, unitedShares } from "../worker/inbound-record.ts";
import { parsePacketKey } from "../worker/session-record.ts";
import type { OpenPartition } from "./open-partition.ts";
import type { Raise } from "./raise-marker.ts";

interface Identifier {
  shares: readonly Share[];
  /** Partitions that know it. */
  readonly places: Set<number>;
}

/** `partitions`: of the new number, all open. Everything is on disk when it returns. Throws StoreFault. */
export async function copyInbound(
  partitions: readonly OpenPartition[],
  raise: Raise,
  batchBytes: number,
): Promise<void> {
  const identifiers = identifiersOf(partitions, raise);
  for (const partition of partitions) {
    let bytes = 0;
    for (const [key, { shares, places }] of identifiers) {
      const isHome = homePartitionOf(parsePacketKey(key).clientId, raise.to) === partition.number;
      if (shares.length === 0 && !isHome && !places.has(partition.number)) continue;
      partition.log.put("inbound", key, encodeShares(shares));
      bytes += key.length;
      if (bytes < batchBytes) continue;
      await partition.commit();
      bytes = 0;
    }
    await partition.commit();
  }
}

function identifiersOf(partitions: readonly OpenPartition[], raise: Raise): Map<string, Identifier> {
  const identifiers = new Map<string, Identifier>();
  for (const { number, log } of partitions) {
    log.entries("inbound", (key, value) => {
      const found = identifiers.get(key) ?? { shares: [], places: new Set() };
      found.shares = unitedShares(found.shares, decodeShares(value, { partitions: raise.from, partition: number }));
      found.places.add(number);
      identifiers.set(key, found);
    });
  }
  return identifiers;
}

/**
 * What a QoS 2 identifier that was received and not yet released stands for: a value of table "inbound".
 *
 * An identifier in a partition says two things. That it is there: its session knows it. And its shares: who has the message
 * already. A share is what lay in one partition when the store had so many: its queues, and the sessions whose home it was.
 * Shares stay true when sessions move, so raising the number of partitions copies them as they are.
 *
 * ```
 *   0  u8   2, the version
 *   1  u8   0
 *   2  (u16 partitions · u16 partition) …   the shares, little endian; none: nothing but the session's knowledge
 * ```
 * Version 1 was one byte, 0: who lies in the partition of the value has the message, or only the session knows it.
 *
 * These bytes outlive the process. To change them: 1. raise the version; 2. read the old form in `decodeShares`; 3. add a test
 * with a value of the old form.
 */
import { homePartitionOf } from "../base/hash.ts";

export interface Share {
  readonly partitions: number;
  readonly partition: number;
}

const VERSION = 2;
const HEADER_BYTES = 2;
const SHARE_BYTES = 4;

export function encodeShares(shares: readonly Share[]): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES + shares.length * SHARE_BYTES);
  bytes[0] = VERSION;
  let at = HEADER_BYTES;
  for (const { partitions, partition } of shares) {
    bytes.writeUInt16LE(partitions, at);
    bytes.writeUInt16LE(partition, at + 2);
    at += SHARE_BYTES;
  }
  return bytes;
}

/** `own`: the share of the partition where the value lies. */
export function decodeShares(bytes: Buffer, own: Share): readonly Share[] {
  if (bytes[0] !== VERSION) return [own];
  const shares: Share[] = [];
  for (let at = HEADER_BYTES; at < bytes.length; at += SHARE_BYTES) {
    shares.push({ partitions: bytes.readUInt16LE(at), partition: bytes.readUInt16LE(at + 2) });
  }
  return shares;
}

/** All shares of both, each once. */
export function unitedShares(one: readonly Share[], other: readonly Share[]): readonly Share[] {
  return [...one, ...other.filter((share) => !one.some((known) => isSame(known, share)))];
}

export const hasShare = (shares: readonly Share[], wanted: Share): boolean =>
  shares.some((share) => isSame(share, wanted));

/** Whether the queues of a partition have the message; queues never move. */
export const speaksForQueues = (shares: readonly Share[], partition: number): boolean =>
  shares.some((share) => share.partition === partition);

/** Whether a session has the message, wherever it lives now. */
export const speaksForSession = (shares: readonly Share[], clientId: string): boolean =>
  shares.some(({ partitions, partition }) => homePartitionOf(clientId, partitions) === partition);

const isSame = (one: Share, other: Share): boolean =>
  one.partitions === other.partitions && one.partition === other.partition;

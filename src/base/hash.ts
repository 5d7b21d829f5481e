/**
 * The hash that gives a client ID or a topic its home partition. Stored data depends on it: changing it needs a move of all
 * sessions and retained messages (raise the store's version).
 */

/** FNV-1a over the UTF-8 bytes, with a final mix so that the low bits depend on all of them; u32. */
export function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let index = start; index < end; index += 1) hash = Math.imul(hash ^ bytes[index]!, 0x01000193);
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  return hash >>> 0;
}

/** The partition, of `partitions`, where a client ID's session or a topic's retained message lives. */
export function homePartitionOf(name: string, partitions: number): number {
  const bytes = Buffer.from(name);
  return hashBytes(bytes, 0, bytes.length) % partitions;
}

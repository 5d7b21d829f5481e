/**
 * All the rings of a broker: one for every ordered pair of workers, cut from one memory budget. Plain data, so that it goes
 * to a worker as it is: the rings are shared, not copied.
 *
 * ```
 *             to 0   to 1   to 2
 *   from 0     ·    ring   ring
 *   from 1   ring     ·    ring      rings[from * workers + to]
 *   from 2   ring   ring     ·
 * ```
 */
import { assert } from "../base/assert.ts";
import { RING_BYTES_MAX, RING_BYTES_MIN } from "../base/limits.ts";
import { createRing } from "./layout.ts";

export interface Mesh {
  readonly workers: number;
  /** Data bytes of each ring. */
  readonly ringBytes: number;
  readonly rings: readonly (SharedArrayBuffer | undefined)[];
}

/**
 * Makes the rings between `workers` workers; together they take at most `budgetBytes`, unless that would make one smaller
 * than RING_BYTES_MIN. One worker has none.
 */
export function createMesh(workers: number, budgetBytes: number): Mesh {
  const ringBytes = ringBytesOf(workers, budgetBytes);
  const rings: (SharedArrayBuffer | undefined)[] = [];
  for (let from = 0; from < workers; from += 1) {
    for (let to = 0; to < workers; to += 1) rings.push(from === to ? undefined : createRing(ringBytes));
  }
  return { workers, ringBytes, rings };
}

/** The ring that carries bytes from one worker to another. */
export function ringOf(mesh: Mesh, from: number, to: number): SharedArrayBuffer {
  const ring = mesh.rings[from * mesh.workers + to];
  assert(ring !== undefined, "there is a ring between two different workers of the mesh");
  return ring;
}

/** The size of each ring: the largest power of two within the budget and the limits. */
export function ringBytesOf(workers: number, budgetBytes: number): number {
  const share = workers > 1 ? budgetBytes / (workers * (workers - 1)) : RING_BYTES_MAX;
  let ringBytes = RING_BYTES_MIN;
  while (ringBytes * 2 <= share && ringBytes < RING_BYTES_MAX) ringBytes *= 2;
  return ringBytes;
}

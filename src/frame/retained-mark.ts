/**
 * What goes with a retained publish right behind its message, from worker to worker and where it is kept in memory: which one it is,
 * and whom its publisher's worker sent it to. Nothing of it is stored: what a start reads back has no mark. Little endian, not aligned.
 *
 * ```
 *   0  u32  from       the publisher's worker
 *   4  u32  isDoubtful 1: it may have been routed before, and who is given it now is not known
 *   8  f64  number     counts what that worker has published retained for the topics of one home
 *  16  u32  reached    bit w: it was sent to worker w
 *  20  u32  reached    the same of workers 32 to 63
 * ```
 */
import type { Region } from "../base/region.ts";
import { totalBytes } from "./message.ts";

export const RETAINED_MARK_BYTES = 24;

export function writeRetainedMark(
  region: Region,
  offset: number,
  from: number,
  isDoubtful: boolean,
  number: number,
  reached: readonly number[],
): void {
  const { view } = region;
  view.setUint32(offset, from, true);
  view.setUint32(offset + 4, isDoubtful ? 1 : 0, true);
  view.setFloat64(offset + 8, number, true);
  let low = 0;
  let high = 0;
  for (const worker of reached) {
    if (worker < 32) low |= 1 << worker;
    else high |= 1 << (worker - 32);
  }
  view.setUint32(offset + 16, low >>> 0, true);
  view.setUint32(offset + 20, high >>> 0, true);
}

export const markedFrom = (region: Region, offset: number): number => region.view.getUint32(offset, true);
export const isDoubtful = (region: Region, offset: number): boolean => region.view.getUint32(offset + 4, true) !== 0;
export const markedNumber = (region: Region, offset: number): number => region.view.getFloat64(offset + 8, true);
export const hasReached = (region: Region, offset: number, worker: number): boolean =>
  ((region.view.getUint32(offset + (worker < 32 ? 16 : 20), true) >>> (worker & 31)) & 1) === 1;

/** Where the mark of a message at the start of a region lies; -1 when it has none. */
export function markOffsetOf(region: Region): number {
  const offset = totalBytes(region, 0);
  return region.bytes.length < offset + RETAINED_MARK_BYTES ? -1 : offset;
}

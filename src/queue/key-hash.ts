/**
 * HalfSipHash-2-4 with 64 bits of output (Aumasson and Bernstein, https://github.com/veorq/SipHash): a keyed hash in
 * 32-bit arithmetic. Keyed, because a publisher that could find two keys of one hash could overwrite the value of a
 * key that an access rule denies it; 64 bits, because the hash stands for the key: ten million keys collide by chance
 * with a probability of 3e-6.
 */
import type { Region } from "../base/region.ts";

/** A key's hash, written in place: `[high, low]`. */
export type KeyHash = Uint32Array;
export const newKeyHash = (): KeyHash => new Uint32Array(2);

/** The secret of one queue's hashes: kept with its ledger, for the log holds hashes made with it. */
export interface HashSeed {
  readonly high: number;
  readonly low: number;
}

/** Hashes `byteLength` bytes at `offset`; allocates nothing. */
export function hashBytes(region: Region, offset: number, byteLength: number, seed: HashSeed, out: KeyHash): void {
  const { view, bytes } = region;
  let v0 = seed.low | 0;
  let v1 = (seed.high ^ 0xee) | 0; // 0xee: the variant with 64 bits of output.
  let v2 = 0x6c796765 ^ seed.low;
  let v3 = 0x74656462 ^ seed.high;

  const tailBytes = byteLength & 3;
  const wordsEnd = offset + byteLength - tailBytes;
  let word = 0;
  let rounds = 0;
  // One loop runs every round, so that the round stands here once: words, the tail word, and the two endings.
  for (let at = offset, stage = 0; stage < 4; ) {
    if (stage === 0) {
      if (at < wordsEnd) {
        word = view.getInt32(at, true);
        at += 4;
      } else {
        word = byteLength << 24;
        for (let index = 0; index < tailBytes; index += 1) word |= bytes[wordsEnd + index]! << (8 * index);
        stage = 1;
      }
      v3 ^= word;
      rounds = 2;
    } else rounds = 4;
    for (; rounds > 0; rounds -= 1) {
      v0 = (v0 + v1) | 0;
      v1 = (v1 << 5) | (v1 >>> 27);
      v1 ^= v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = (v3 << 8) | (v3 >>> 24);
      v3 ^= v2;
      v0 = (v0 + v3) | 0;
      v3 = (v3 << 7) | (v3 >>> 25);
      v3 ^= v0;
      v2 = (v2 + v1) | 0;
      v1 = (v1 << 13) | (v1 >>> 19);
      v1 ^= v2;
      v2 = (v2 << 16) | (v2 >>> 16);
    }
    if (stage < 2) v0 ^= word;
    if (stage === 1) {
      v2 ^= 0xee;
      stage = 2;
    } else if (stage === 2) {
      out[1] = v1 ^ v3;
      v1 ^= 0xdd;
      stage = 3;
    } else if (stage === 3) {
      out[0] = v1 ^ v3;
      stage = 4;
    }
  }
}

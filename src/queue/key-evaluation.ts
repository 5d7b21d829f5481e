/**
 * One evaluation of a key expression: the message, the time, randomness, and what may still be spent. An expression has one of
 * these and begins it again for each message. What has to be paid depends on nothing but the expression and the message:
 * a message that has no key on one machine has none on any other.
 */

import { KEY_REGEX_STEPS_MAX, KEY_WORK_BYTES_MAX } from "../base/limits.ts";
import { Region } from "../base/region.ts";

export class Evaluation {
  region = Region.allocate(0);
  offset = 0;
  nowMs = 0;
  random: () => number = noRandomness;
  #workBytes = 0;
  #regexSteps = 0;

  begin(region: Region, offset: number, nowMs: number, random: () => number): void {
    this.region = region;
    this.offset = offset;
    this.nowMs = nowMs;
    this.random = random;
    this.#workBytes = KEY_WORK_BYTES_MAX;
    this.#regexSteps = KEY_REGEX_STEPS_MAX;
  }

  /** Pays for handling so many bytes. False: more than an evaluation may spend. */
  tryPay(bytes: number): boolean {
    this.#workBytes -= bytes;
    return this.#workBytes >= 0;
  }

  /** Pays for a search: of a pattern with so many instructions through so many characters. */
  tryPayRegex(instructions: number, characters: number): boolean {
    this.#regexSteps -= instructions * characters;
    return this.#regexSteps >= 0;
  }
}

const noRandomness = (): number => 0;

/**
 * The topic aliases that one connection's client is sent [MQTT-3.1.2-26]: a free one for each new topic; when all are taken, for a
 * topic that comes again soon, the one that was used least of late.
 *
 * ```
 *   hashes   │ u32 … │       alias - 1 ─► the topic it stands for
 *   names    │ topic · topic · … │       each at (alias - 1) * ALIASED_TOPIC_BYTES_MAX
 *   seen     │ u32 … │       hashes of topics without an alias: what is found here comes again
 * ```
 *
 * The two sides of a connection agree on an alias by the order of packets alone, so it is taken only for a packet that is sent.
 */
import { hashBytes } from "../base/hash.ts";
import { ALIASED_TOPIC_BYTES_MAX, ALIASED_TOPIC_BYTES_MIN, TOPIC_ALIASES_SENT_MAX } from "../base/limits.ts";
import { copyBytes, Region } from "../base/region.ts";
import { topicBytesOf, topicOffset } from "../frame/message.ts";

const NO_ALIAS = 0;
const SEEN_PER_ALIAS = 4;

export class TopicAliases {
  readonly #aliasesMax: number;
  readonly #hashes: Uint32Array;
  readonly #lengths: Uint16Array;
  /** Used since the hand came by. */
  readonly #isWarm: Uint8Array;
  /** Made for the first topic: many clients that take aliases are sent nothing for long. */
  #names: Region | undefined = undefined;
  readonly #seen: Uint32Array;
  #count = 0;
  #hand = 0;

  /** Of the last `look`: what to send the topic with, 0 = nothing; and whether the client knows it, so that the topic is left out. */
  alias = NO_ALIAS;
  isKnown = false;
  #hash = 0;

  /** `clientMax`: the client's Topic Alias Maximum, at least 1. */
  constructor(clientMax: number) {
    const aliasesMax = Math.min(clientMax, TOPIC_ALIASES_SENT_MAX);
    this.#aliasesMax = aliasesMax;
    this.#hashes = new Uint32Array(aliasesMax);
    this.#lengths = new Uint16Array(aliasesMax);
    this.#isWarm = new Uint8Array(aliasesMax);
    this.#seen = new Uint32Array(aliasesMax * SEEN_PER_ALIAS);
  }

  /** Chooses for a message that is about to be sent. An alias that is not known yet is the topic's only after `take`. */
  look(message: Region, offset: number): void {
    const topicBytes = topicBytesOf(message, offset);
    this.alias = NO_ALIAS;
    this.isKnown = false;
    if (topicBytes < ALIASED_TOPIC_BYTES_MIN || topicBytes > ALIASED_TOPIC_BYTES_MAX) return;
    const start = topicOffset(offset);
    const hash = hashBytes(message.bytes, start, start + topicBytes);
    for (let index = 0; index < this.#count; index += 1) {
      if (this.#hashes[index] !== hash || !this.#isTopic(index, message, start, topicBytes)) continue;
      this.#isWarm[index] = 1;
      this.alias = index + 1;
      this.isKnown = true;
      return;
    }
    this.#hash = hash;
    if (this.#count < this.#aliasesMax) {
      this.alias = this.#count + 1;
      return;
    }
    const place = hash % this.#seen.length;
    if (this.#seen[place] === hash) this.alias = this.#coldest() + 1;
    this.#seen[place] = hash;
  }

  /** The message of the last `look` is sent with its topic and the alias that was chosen. */
  take(message: Region, offset: number): void {
    const index = this.alias - 1;
    const topicBytes = topicBytesOf(message, offset);
    this.#count = Math.max(this.#count, this.alias);
    this.#hashes[index] = this.#hash;
    this.#lengths[index] = topicBytes;
    this.#isWarm[index] = 1;
    this.#names ??= Region.allocate(this.#aliasesMax * ALIASED_TOPIC_BYTES_MAX);
    copyBytes(this.#names, index * ALIASED_TOPIC_BYTES_MAX, message, topicOffset(offset), topicBytes);
  }

  /** Second chance: the hand goes round and stops at the first that was not used since it came by last. */
  #coldest(): number {
    while (this.#isWarm[this.#hand] === 1) {
      this.#isWarm[this.#hand] = 0;
      this.#hand = (this.#hand + 1) % this.#count;
    }
    const coldest = this.#hand;
    this.#hand = (this.#hand + 1) % this.#count;
    return coldest;
  }

  #isTopic(index: number, message: Region, start: number, topicBytes: number): boolean {
    if (this.#names === undefined || this.#lengths[index] !== topicBytes) return false;
    const known = this.#names.bytes;
    const { bytes } = message;
    const at = index * ALIASED_TOPIC_BYTES_MAX;
    for (let each = 0; each < topicBytes; each += 1) if (known[at + each] !== bytes[start + each]) return false;
    return true;
  }
}

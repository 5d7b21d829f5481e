/**
 * What the sessions of a thread keep for their clients beside messages: will, filters, topics of aliases, names, identifiers. Each has its bound by the
 * protocol; a thousand connections that use all of it would take a gigabyte.
 *
 * ```
 *   little of its own ──► kept, however much the others have
 *   more ──────────────► kept while all together have room, else refused with 0x97
 * ```
 */
import { BELONGINGS_FREE_BYTES } from "../base/limits.ts";
import type { Will } from "../mqtt/packets.ts";

/** Of all sessions of this thread. */
let threadBytes = 0;

/** Whether somebody who has `ownBytes` may have so many more. */
export const mayKeep = (ownBytes: number, bytes: number, threadBytesMax: number): boolean =>
  ownBytes + bytes <= BELONGINGS_FREE_BYTES || threadBytes + bytes <= threadBytesMax;

export const willBytesOf = (will: Will | undefined): number =>
  will === undefined ? 0 : will.topic.length + will.payload.length + will.properties.length;

/** A filter, with its subscription and its levels in the routing trie; less than they take, for levels are often shared. */
export function filterBytesOf(filter: string): number {
  let levels = 1;
  for (let at = filter.indexOf("/"); at >= 0; at = filter.indexOf("/", at + 1)) levels += 1;
  return filter.length + SUBSCRIPTION_BYTES + levels * LEVEL_BYTES;
}

const SUBSCRIPTION_BYTES = 64;
const LEVEL_BYTES = 32;

/** A QoS 2 identifier that its client does not release, of a session that is on disk. */
export const UNRELEASED_BYTES = 200;

/** The account of one session. */
export class Belongings {
  #bytes = 0;
  #filterBytes = 0;
  #aliasBytes = 0;
  #nameBytes = 0;
  #unreleasedBytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** Kept, or let go when negative. */
  add(bytes: number): void {
    this.#bytes += bytes;
    threadBytes += bytes;
  }

  addFilter(bytes: number): void {
    this.#filterBytes += bytes;
    this.add(bytes);
  }

  addAlias(bytes: number): void {
    this.#aliasBytes += bytes;
    this.add(bytes);
  }

  /** QoS 2 identifiers that are unreleased, beyond those that every client may have. */
  countUnreleased(count: number): void {
    const bytes = Math.max(0, count) * UNRELEASED_BYTES;
    this.add(bytes - this.#unreleasedBytes);
    this.#unreleasedBytes = bytes;
  }

  /** Names that a connection brings. */
  onAttended(nameBytes: number): void {
    this.#nameBytes += nameBytes;
    this.add(nameBytes);
  }

  /** The connection is gone, with its names and aliases. */
  onLeft(): void {
    this.add(-this.#nameBytes - this.#aliasBytes);
    this.#nameBytes = this.#aliasBytes = 0;
  }

  /** The session is gone, with its filters. */
  onEnded(): void {
    this.onLeft();
    this.countUnreleased(0);
    this.add(-this.#filterBytes);
    this.#filterBytes = 0;
  }
}

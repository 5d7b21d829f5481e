/**
 * A log that ends with the process, for one queue: no disk, no commits. It is the part of the storage contract that a queue works on, so
 * that messages in memory have the same order, limits and life as stored ones.
 *
 * ```
 *   positions ─► slot ─► page, offset
 *   pages     │ message message … │ message … ─►        let go when their last message is
 * ```
 */
import { VOLATILE_PAGE_BYTES, VOLATILE_PAGE_BYTES_MIN } from "../base/limits.ts";
import { copyBytes, Region } from "../base/region.ts";
import {
  type MessageLocation,
  type Position,
  type QueueLog,
  RECORDS_PER_BATCH_MAX,
  type ReadResult,
} from "./contract.ts";

interface Page {
  readonly region: Region;
  usedBytes: number;
  messages: number;
}

const STAGED = 0;
const CAPACITY_MIN = 16;
const NOTHING = Region.allocate(0);

export class VolatileLog implements QueueLog {
  readonly committed = 0;
  readonly hasDamage = false;
  readonly #slots = new Map<Position, number>();
  readonly #freeSlots: number[] = [];
  #pages: (Page | undefined)[] = new Array(CAPACITY_MIN).fill(undefined);
  #offsets = new Uint32Array(CAPACITY_MIN);
  #usedSlots = 0;
  #tail: Page | undefined = undefined;
  /** A full-size page whose messages have gone, to be used again. */
  #spare: Page | undefined = undefined;
  #next: Position = RECORDS_PER_BATCH_MAX;
  #source = NOTHING;
  #sourceOffset = 0;
  #sourceBytes = 0;

  get gathering(): number {
    return Math.floor(this.#next / RECORDS_PER_BATCH_MAX);
  }

  get gatheringRecords(): number {
    return this.#next % RECORDS_PER_BATCH_MAX;
  }

  /** Messages that it holds. */
  get messages(): number {
    return this.#slots.size;
  }

  /** Only notes where the message lies: `add` copies it, before anything else happens. */
  stage(source: Region, offset: number, messageBytes: number): number {
    this.#source = source;
    this.#sourceOffset = offset;
    this.#sourceBytes = messageBytes;
    return STAGED;
  }

  add(): Position {
    const bytes = this.#sourceBytes;
    const page = this.#pageFor(bytes);
    copyBytes(page.region, page.usedBytes, this.#source, this.#sourceOffset, bytes);
    const slot = this.#freeSlots.pop() ?? this.#newSlot();
    this.#pages[slot] = page;
    this.#offsets[slot] = page.usedBytes;
    page.usedBytes += bytes;
    page.messages += 1;
    const position = this.#next;
    this.#next += 1;
    this.#slots.set(position, slot);
    this.#source = NOTHING;
    return position;
  }

  settle(position: Position): void {
    const slot = this.#slots.get(position);
    if (slot === undefined) return;
    this.#slots.delete(position);
    this.#freeSlots.push(slot);
    const page = this.#pages[slot]!;
    this.#pages[slot] = undefined;
    page.messages -= 1;
    if (page.messages > 0) return;
    page.usedBytes = 0;
    if (page === this.#tail) return; // It begins anew.
    if (page.region.bytes.length === VOLATILE_PAGE_BYTES) this.#spare = page;
  }

  put(): void {} // Nothing outlives the process.

  read(position: Position, into: MessageLocation): ReadResult {
    const slot = this.#slots.get(position);
    if (slot === undefined) return "gone";
    into.region = this.#pages[slot]!.region;
    into.offset = this.#offsets[slot]!;
    return "found";
  }

  #newSlot(): number {
    if (this.#usedSlots === this.#offsets.length) {
      const offsets = new Uint32Array(this.#usedSlots * 2);
      offsets.set(this.#offsets);
      this.#offsets = offsets;
      this.#pages = [...this.#pages, ...new Array<undefined>(this.#usedSlots).fill(undefined)];
    }
    this.#usedSlots += 1;
    return this.#usedSlots - 1;
  }

  #pageFor(messageBytes: number): Page {
    const tail = this.#tail;
    if (tail !== undefined && tail.usedBytes + messageBytes <= tail.region.bytes.length) return tail;
    const wanted = tail === undefined ? VOLATILE_PAGE_BYTES_MIN : tail.region.bytes.length * 2;
    const pageBytes = Math.min(VOLATILE_PAGE_BYTES, wanted);
    const spare = pageBytes === VOLATILE_PAGE_BYTES && messageBytes <= pageBytes ? this.#spare : undefined;
    if (spare !== undefined) this.#spare = undefined;
    this.#tail = spare ?? {
      region: Region.allocate(Math.max(pageBytes, messageBytes)),
      usedBytes: 0,
      messages: 0,
    };
    return this.#tail;
  }
}

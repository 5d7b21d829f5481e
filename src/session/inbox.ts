/**
 * What waits for one client: positions in the log for a session that outlives its connection, copies in memory for
 * one that does not, and of messages with QoS 0 that are kept for one that is away. Bounded in messages and bytes; when full, the oldest goes.
 *
 * ```
 *   head ─► [position · bytes · flags (· page, offset)] … ◄─ tail        a ring that doubles
 *   pages:  │ copy copy copy … │ copy … ─►                              given back when their last copy is gone
 * ```
 */
import { INBOX_PAGE_BYTES, INBOX_PAGE_BYTES_MIN, INBOX_PAGES_SPARE_MAX } from "../base/limits.ts";
import { copyBytes, Region } from "../base/region.ts";

/** Delivery flags of an entry, u16: bits 0-1 QoS, bit 2 RETAIN of the delivery, bit 3 it came by a shared subscription, bits 4-15 by which: see share-tag.ts. */
export const DELIVERY_QOS_MASK = 0b11;
export const DELIVERY_RETAIN = 0b100;
export const DELIVERY_SHARED = 0b1000;

/** The position of an entry whose message is in memory. */
export const IN_MEMORY = -1;

const CAPACITY_MIN = 16;

/** Memory for copies, filled from front to back. */
interface Page {
  readonly region: Region;
  usedBytes: number;
  copies: number;
}

/** Pages nobody uses, for all inboxes of the thread. */
const sparePages: Page[] = [];

/** Bytes of the pages that inboxes of this thread use. */
let usedPagesBytes = 0;
export const inboxesBytes = (): number => usedPagesBytes;

/** Shared by all that are still empty: an array of its own takes some 200 bytes. */
const NO_U16 = new Uint16Array(0);
const NO_U32 = new Uint32Array(0);
const NO_F64 = new Float64Array(0);

export class Inbox {
  #positions = NO_F64;
  #bytes = NO_U32;
  #flags = NO_U16;
  #offsets = NO_U32;
  #pages: (Page | undefined)[] = [];
  #tailPage: Page | undefined = undefined;
  #head = 0;
  #length = 0;
  #taken = 0;
  #totalBytes = 0;
  #copiedBytes = 0;
  #qos0 = 0;

  get length(): number {
    return this.#length;
  }

  /** Whether any of it has QoS 0. */
  get hasQos0(): boolean {
    return this.#qos0 > 0;
  }

  /** How many it has taken, ever: the number that the next entry gets. */
  get taken(): number {
    return this.#taken;
  }

  /** The number of the oldest entry; only when there is one. */
  get headOrdinal(): number {
    return this.#taken - this.#length;
  }

  get totalBytes(): number {
    return this.#totalBytes;
  }

  /** The part of them that is here in memory. */
  get copiedBytes(): number {
    return this.#copiedBytes;
  }

  isBeyond(messagesMax: number, bytesMax: number): boolean {
    return this.#length > messagesMax || (this.#totalBytes > bytesMax && this.#length > 1);
  }

  /** Whether one more message would be beyond the bounds; one alone never is. */
  isFullFor(messageBytes: number, messagesMax: number, bytesMax: number): boolean {
    return this.#length >= messagesMax || (this.#totalBytes + messageBytes > bytesMax && this.#length > 0);
  }

  /** Appends a stored message. */
  push(position: number, messageBytes: number, flags: number): void {
    this.#append(position, messageBytes, flags, undefined, 0);
  }

  /** Puts a stored message before all others. */
  pushFront(position: number, messageBytes: number, flags: number): void {
    if (this.#length === this.#positions.length) this.#grow();
    this.#head = (this.#head - 1) & (this.#positions.length - 1);
    this.#positions[this.#head] = position;
    this.#bytes[this.#head] = messageBytes;
    this.#flags[this.#head] = flags;
    this.#pages[this.#head] = undefined;
    this.#length += 1;
    this.#totalBytes += messageBytes;
  }

  /** Appends a copy of a message. `isSparing`: into pages that grow with what waits, for a session that may be away for long. */
  pushCopy(message: Region, offset: number, messageBytes: number, flags: number, isSparing = false): void {
    const page = this.#pageFor(messageBytes, isSparing ? this.#sparingBytes() : INBOX_PAGE_BYTES);
    copyBytes(page.region, page.usedBytes, message, offset, messageBytes);
    this.#append(IN_MEMORY, messageBytes, flags, page, page.usedBytes);
    page.usedBytes += messageBytes;
    page.copies += 1;
    this.#copiedBytes += messageBytes;
  }

  /** Forgets everything; what is stored is the caller's to settle. */
  clear(): void {
    while (this.#length > 0) this.shift();
  }

  /** Drops the oldest copies until so many bytes of them are left; returns how many went. Stored messages stay, in their order. */
  dropCopies(copiedBytesMax: number): number {
    const before = this.#length;
    let isTurning = false; // Once a stored one was put behind, all that follow must be, too.
    for (let left = before; left > 0 && (isTurning || this.#copiedBytes > copiedBytesMax); left -= 1) {
      if (this.#pages[this.#head] !== undefined && this.#copiedBytes > copiedBytesMax) {
        this.shift();
      } else {
        this.#putBehind();
        isTurning = true;
      }
    }
    return before - this.#length;
  }

  /** The oldest entry becomes the newest. */
  #putBehind(): void {
    const from = this.#head;
    const to = (from + this.#length) & (this.#positions.length - 1);
    this.#head = (from + 1) & (this.#positions.length - 1);
    if (to === from) return; // The ring is full: its place stays, what is oldest moves on.
    this.#positions[to] = this.#positions[from]!;
    this.#bytes[to] = this.#bytes[from]!;
    this.#flags[to] = this.#flags[from]!;
    this.#offsets[to] = this.#offsets[from]!;
    this.#pages[to] = this.#pages[from];
    this.#pages[from] = undefined;
  }

  /** Of the oldest entry; only when there is one. */
  get headPosition(): number {
    return this.#positions[this.#head]!;
  }

  get headFlags(): number {
    return this.#flags[this.#head]!;
  }

  /** Where the oldest entry's copy lies, valid until the next `pushCopy` after its `shift`; undefined for a stored one. */
  get headRegion(): Region | undefined {
    return this.#pages[this.#head]?.region;
  }

  get headOffset(): number {
    return this.#offsets[this.#head]!;
  }

  shift(): void {
    const page = this.#pages[this.#head];
    const messageBytes = this.#bytes[this.#head]!;
    this.#totalBytes -= messageBytes;
    if ((this.#flags[this.#head]! & DELIVERY_QOS_MASK) === 0) this.#qos0 -= 1;
    this.#pages[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#positions.length - 1);
    this.#length -= 1;
    if (page === undefined) return;
    this.#copiedBytes -= messageBytes;
    page.copies -= 1;
    if (page.copies === 0) this.#giveBack(page);
  }

  #append(position: number, messageBytes: number, flags: number, page: Page | undefined, offset: number): void {
    if (this.#length === this.#positions.length) this.#grow();
    const place = (this.#head + this.#length) & (this.#positions.length - 1);
    this.#positions[place] = position;
    this.#bytes[place] = messageBytes;
    this.#flags[place] = flags;
    this.#offsets[place] = offset;
    this.#pages[place] = page;
    this.#length += 1;
    if ((flags & DELIVERY_QOS_MASK) === 0) this.#qos0 += 1;
    this.#taken += 1;
    this.#totalBytes += messageBytes;
  }

  #sparingBytes(): number {
    return Math.min(INBOX_PAGE_BYTES, Math.max(INBOX_PAGE_BYTES_MIN, this.#totalBytes));
  }

  #pageFor(messageBytes: number, pageBytes: number): Page {
    const tail = this.#tailPage;
    if (tail !== undefined && tail.usedBytes + messageBytes <= tail.region.bytes.length) return tail;
    const isOrdinary = messageBytes <= pageBytes && pageBytes === INBOX_PAGE_BYTES;
    const page = isOrdinary
      ? (sparePages.pop() ?? newPage(INBOX_PAGE_BYTES))
      : newPage(Math.max(messageBytes, pageBytes));
    this.#tailPage = page;
    usedPagesBytes += page.region.bytes.length;
    return page;
  }

  /** Its last copy is gone: the page begins anew, here or elsewhere. */
  #giveBack(page: Page): void {
    page.usedBytes = 0;
    usedPagesBytes -= page.region.bytes.length;
    if (page === this.#tailPage) this.#tailPage = undefined;
    if (page.region.bytes.length === INBOX_PAGE_BYTES && sparePages.length < INBOX_PAGES_SPARE_MAX)
      sparePages.push(page);
  }

  #grow(): void {
    const capacity = Math.max(CAPACITY_MIN, this.#positions.length * 2);
    const positions = new Float64Array(capacity);
    const bytes = new Uint32Array(capacity);
    const flags = new Uint16Array(capacity);
    const offsets = new Uint32Array(capacity);
    const pages = new Array<Page | undefined>(capacity).fill(undefined);
    for (let index = 0; index < this.#length; index += 1) {
      const place = (this.#head + index) & (this.#positions.length - 1);
      positions[index] = this.#positions[place]!;
      bytes[index] = this.#bytes[place]!;
      flags[index] = this.#flags[place]!;
      offsets[index] = this.#offsets[place]!;
      pages[index] = this.#pages[place];
    }
    this.#positions = positions;
    this.#bytes = bytes;
    this.#flags = flags;
    this.#offsets = offsets;
    this.#pages = pages;
    this.#head = 0;
  }
}

const newPage = (byteLength: number): Page => ({ region: Region.allocate(byteLength), usedBytes: 0, copies: 0 });

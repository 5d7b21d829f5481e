/**
 * LMDB's file, read without LMDB: for a look at a store that may be damaged, which LMDB itself does not survive. Read only; nothing
 * in the file is believed. Little endian, as lmdb 3 writes it (data version 2):
 *
 * ```
 *   file   page 0, page 1: meta · pages of trees, overflow pages, free pages
 *
 *   page   0 u64 its number · 8 u64 transaction that wrote it · 16 u16 – · 18 u16 kind
 *   tree  20 u16 lower, 22 u16 upper: both count from byte 24 · 24 u16 offset of each node, from byte 24 · … · nodes
 *   value 20 u32 pages · 24 the value, over all its pages
 *   meta  24 u32 0xBEEFC0DE · 28 u32 version · 32 u64 – · 40 u64 – · 48 tree "free" · 96 tree "main"
 *        144 u64 last page · 152 u64 transaction
 *   tree   0 u32 page size, in "free" · 4 u16 flags · 6 u16 depth · 8 u64 branches · 16 u64 leaves · 24 u64 overflow pages
 *         32 u64 entries · 40 u64 root, all ones when empty
 *   node   0 u32 bytes of the value, or with the flags the page below · 4 u16 flags · 6 u16 bytes of the key · 8 key · value, or
 *          u64 page, u64 transaction, u64 pages when it lies in overflow pages
 * ```
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

export const PAGE_HEADER_BYTES = 24;
export const BRANCH = 1;
export const LEAF = 2;
export const OVERFLOW = 4;
/** Flags of a leaf's node. */
export const IN_OVERFLOW = 1;
export const SUB_TREE = 2;
/** The root of a tree without entries. */
export const NO_PAGE = Number.POSITIVE_INFINITY;

export interface Tree {
  readonly flags: number;
  readonly depth: number;
  readonly branches: number;
  readonly leaves: number;
  readonly overflowPages: number;
  readonly entries: number;
  readonly root: number;
}

export interface Meta {
  readonly pageBytes: number;
  readonly free: Tree;
  readonly main: Tree;
  readonly lastPage: number;
  readonly transaction: number;
}

/** A node of a leaf or a branch. */
export interface PageNode {
  readonly key: Buffer;
  readonly flags: number;
  /** In a branch: the page below. */
  readonly child: number;
  /** In a leaf. */
  readonly valueBytes: number;
  /** What stands in the page behind the key: the value, or where it is. */
  readonly inline: Buffer;
}

export class PageFile {
  readonly pageBytes: number;
  /** Whole pages that the file has. */
  readonly pages: number;
  readonly bytes: number;
  readonly #descriptor: number;

  /** Throws what `open` throws. */
  constructor(path: string) {
    this.#descriptor = openSync(path, "r");
    this.bytes = fstatSync(this.#descriptor).size;
    this.pageBytes = this.#findPageBytes();
    this.pages = Math.floor(this.bytes / this.pageBytes);
  }

  /** A copy of some bytes; fewer when the file ends before. */
  read(offset: number, bytes: number): Buffer {
    const buffer = Buffer.alloc(bytes);
    let length = 0;
    while (length < bytes) {
      const read = readSync(this.#descriptor, buffer, length, bytes - length, offset + length);
      if (read === 0) break;
      length += read;
    }
    return buffer.subarray(0, length);
  }

  page(number: number): Buffer {
    return this.read(number * this.pageBytes, this.pageBytes);
  }

  headerOf(number: number): Buffer {
    return this.read(number * this.pageBytes, PAGE_HEADER_BYTES);
  }

  /** A value in overflow pages from `page` on. */
  overflowValue(page: number, bytes: number): Buffer {
    return this.read(page * this.pageBytes + PAGE_HEADER_BYTES, bytes);
  }

  /** Meta page 0 or 1, or what is wrong with it. */
  meta(which: 0 | 1): Meta | string {
    return metaOf(this.page(which), which);
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  /** From the first meta page, or the second at the places where it can be. */
  #findPageBytes(): number {
    const first = metaOf(this.read(0, META_END), 0);
    if (typeof first !== "string") return first.pageBytes;
    for (let bytes = PAGE_BYTES_MIN; bytes <= PAGE_BYTES_MAX; bytes *= 2) {
      const second = metaOf(this.read(bytes, META_END), 1);
      if (typeof second !== "string" && second.pageBytes === bytes) return bytes;
    }
    return PAGE_BYTES_DEFAULT;
  }
}

/** The nodes of a page that says it is a branch or a leaf, or what is wrong with it. */
export function nodesOf(page: Buffer): PageNode[] | string {
  const kind = kindOf(page);
  const lower = page.readUInt16LE(20);
  const upper = page.readUInt16LE(22);
  const room = page.length - PAGE_HEADER_BYTES;
  if (lower % 2 !== 0 || lower > upper || upper > room) return "impossible bounds";
  const nodes: PageNode[] = [];
  let nodeBytes = 0;
  for (let at = PAGE_HEADER_BYTES; at < PAGE_HEADER_BYTES + lower; at += 2) {
    const offset = page.readUInt16LE(at);
    if (offset < upper || offset + NODE_HEADER_BYTES > room) return "a node outside of its page";
    const start = PAGE_HEADER_BYTES + offset;
    const keyStart = start + NODE_HEADER_BYTES;
    const keyEnd = keyStart + page.readUInt16LE(start + 6);
    const flags = page.readUInt16LE(start + 4);
    const low = page.readUInt32LE(start);
    const isOverflow = kind === LEAF && (flags & IN_OVERFLOW) !== 0;
    const end = keyEnd + (kind === BRANCH ? 0 : isOverflow ? OVERFLOW_REFERENCE_BYTES : low);
    if (end > page.length) return "a node beyond its page";
    if (kind === LEAF && flags > (IN_OVERFLOW | SUB_TREE)) return "unknown flags of a node";
    if (kind === LEAF && keyEnd === keyStart) return "a node without a key";
    nodeBytes += (end - start + 1) & ~1;
    nodes.push({
      key: page.subarray(keyStart, keyEnd),
      flags: kind === BRANCH ? 0 : flags,
      child: kind === BRANCH ? low + flags * 2 ** 32 : NO_PAGE,
      valueBytes: low,
      inline: page.subarray(keyEnd, end),
    });
  }
  // LMDB leaves no gap between nodes: an offset or a length that is wrong shows here, also where it points at what looks like a node.
  return nodeBytes === room - upper ? nodes : "nodes that do not fill their place";
}

export const numberOf = (page: Buffer): number => wordAt(page, 0);
export const transactionOf = (page: Buffer): number => wordAt(page, 8);
export const kindOf = (page: Buffer): number => page.readUInt16LE(18);
export const overflowPagesOf = (page: Buffer): number => page.readUInt32LE(20);

/** An unsigned 64-bit number; all ones is NO_PAGE. Beyond 2^53 it is inexact, and larger than anything it is compared with. */
export function wordAt(bytes: Buffer, at: number): number {
  const high = bytes.readUInt32LE(at + 4);
  const low = bytes.readUInt32LE(at);
  return high === 0xffffffff && low === 0xffffffff ? NO_PAGE : high * 2 ** 32 + low;
}

/** A tree's description, as in a meta page and as the value of a named tree; undefined when the bytes are too few. */
export function treeOf(bytes: Buffer): Tree | undefined {
  if (bytes.length < TREE_BYTES) return undefined;
  return {
    flags: bytes.readUInt16LE(4),
    depth: bytes.readUInt16LE(6),
    branches: wordAt(bytes, 8),
    leaves: wordAt(bytes, 16),
    overflowPages: wordAt(bytes, 24),
    entries: wordAt(bytes, 32),
    root: wordAt(bytes, 40),
  };
}

function metaOf(page: Buffer, number: number): Meta | string {
  if (page.length < META_END) return "the file is too short";
  if (page.readUInt32LE(24) !== MAGIC) return "wrong magic number";
  if ((page.readUInt32LE(28) & 0xffff) !== DATA_VERSION) return `data version ${page.readUInt32LE(28)}`;
  if (numberOf(page) !== number || (kindOf(page) & META) === 0) return "not a meta page";
  const pageBytes = page.readUInt32LE(48);
  if (pageBytes < PAGE_BYTES_MIN || pageBytes > PAGE_BYTES_MAX || (pageBytes & (pageBytes - 1)) !== 0) {
    return `impossible page size ${pageBytes}`;
  }
  const free = treeOf(page.subarray(48))!;
  const main = treeOf(page.subarray(96))!;
  // LMDB acts by the flags of either page: one flipped ended the process.
  if (free.flags !== NUMBER_KEYS || main.flags !== 0) return "unknown flags";
  return {
    pageBytes,
    free,
    main,
    lastPage: wordAt(page, 144),
    transaction: wordAt(page, 152),
  };
}

/** Of the tree "free" alone: no tree of ours has any flag. */
export const NUMBER_KEYS = 8;
const MAGIC = 0xbeefc0de;
const DATA_VERSION = 2;
const META = 8;
const META_END = 168;
const TREE_BYTES = 48;
const NODE_HEADER_BYTES = 8;
const OVERFLOW_REFERENCE_BYTES = 24;
const PAGE_BYTES_MIN = 512;
const PAGE_BYTES_MAX = 65_536;
const PAGE_BYTES_DEFAULT = 4_096;

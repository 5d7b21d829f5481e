/**
 * A trie over the levels of topics or filters, each node with at most one value. Nodes are numbers and their fields
 * words of one array, so that 100,000 filters are a few megabytes that the garbage collector never walks, and a lookup
 * makes no string.
 *
 * ```
 *   node, 8 words of 4 bytes:
 *   0  parent            0 = the root, which is no one's child, so 0 also means "none" below
 *   1  nameHash
 *   2  nameOffset        into the name bytes
 *   3  nameBytes         bits 0-15; bit 16: has a child "+"; bit 17: has a child "#"
 *   4  firstChild
 *   5  nextSibling
 *   6  previousSibling
 *   7  nextInBucket      of the edge table; of a free node: the next free one
 *
 *   edge table: hash(parent, nameHash) → chain of nodes
 * ```
 */
import { assert } from "../base/assert.ts";
import { TRIE_NAME_BYTES_MAX, TRIE_NODES_MAX } from "../base/limits.ts";
import { copyBytes, Region } from "../base/region.ts";

/** The node of the empty path. */
export const ROOT = 0;
/** No such node; as an answer of `tryEnsure`: the trie is full. */
export const NO_NODE = -1;

const SLASH = 0x2f;
const PLUS = 0x2b;
const HASH = 0x23;

const PARENT = 0;
const NAME_HASH = 1;
const NAME_OFFSET = 2;
const NAME_BYTES = 3;
const FIRST_CHILD = 4;
const NEXT_SIBLING = 5;
const PREVIOUS_SIBLING = 6;
const NEXT_IN_BUCKET = 7;
const NODE_SHIFT = 3;

const NAME_BYTES_MASK = 0xffff;
const HAS_PLUS = 1 << 16;
const HAS_HASH = 1 << 17;

const FNV_PRIME = 0x01000193;

/** Adds one byte to a hash of bytes (FNV-1a); the start is the trie's seed. */
export const hashOfByte = (hash: number, byte: number): number => Math.imul(hash ^ byte, FNV_PRIME);

export class LevelTrie<T extends object> {
  /** The start of every hash of a level's name. */
  readonly seed: number;

  #nodes = new Int32Array(64 << NODE_SHIFT);
  #values: (T | undefined)[] = [undefined];
  #buckets = new Int32Array(64);
  #freeNode = 0;
  #liveNodes = 1;
  #names = Region.allocate(1024);
  #namesEnd = 0;
  #namesLive = 0;
  readonly #plusHash: number;
  readonly #hashHash: number;

  /** `seed`: 32 random bits, so that nobody can choose names that collide. */
  constructor(seed: number) {
    this.seed = seed | 0;
    this.#plusHash = hashOfByte(this.seed, PLUS);
    this.#hashHash = hashOfByte(this.seed, HASH);
  }

  /** Nodes in use, the root included. */
  get nodes(): number {
    return this.#liveNodes;
  }

  /** Bytes of the arrays, values not included. */
  get memoryBytes(): number {
    return this.#nodes.byteLength + this.#buckets.byteLength + this.#names.bytes.length + this.#values.length * 8;
  }

  valueOf(node: number): T | undefined {
    return this.#values[node];
  }

  setValue(node: number, value: T | undefined): void {
    this.#values[node] = value;
  }

  /** The node of a path of levels, or NO_NODE. */
  find(region: Region, offset: number, byteLength: number): number {
    const end = offset + byteLength;
    let node = ROOT;
    let start = offset;
    let hash = this.seed;
    for (let at = offset; ; at += 1) {
      const byte = at < end ? region.bytes[at]! : SLASH;
      if (byte !== SLASH) {
        hash = hashOfByte(hash, byte);
        continue;
      }
      node = this.childOf(node, hash, region, start, at - start);
      if (node === 0) return NO_NODE;
      if (at === end) return node;
      start = at + 1;
      hash = this.seed;
    }
  }

  /** The node of a path of levels, made if need be; NO_NODE when the trie is full. A node without value is pruned by the caller. */
  tryEnsure(region: Region, offset: number, byteLength: number): number {
    // A path has at most as many levels as bytes and one more: with room for those, nothing fails half-way.
    if (this.#liveNodes + byteLength + 1 > TRIE_NODES_MAX) return NO_NODE;
    if (this.#namesLive + byteLength > TRIE_NAME_BYTES_MAX) return NO_NODE;
    const end = offset + byteLength;
    let node = ROOT;
    let start = offset;
    let hash = this.seed;
    for (let at = offset; ; at += 1) {
      const byte = at < end ? region.bytes[at]! : SLASH;
      if (byte !== SLASH) {
        hash = hashOfByte(hash, byte);
        continue;
      }
      const child = this.childOf(node, hash, region, start, at - start);
      node = child === 0 ? this.#append(node, hash, region, start, at - start) : child;
      if (at === end) return node;
      start = at + 1;
      hash = this.seed;
    }
  }

  /** The child with this name, 0 = none. `hash` is the name's, from `seed`. */
  childOf(node: number, hash: number, region: Region, start: number, byteLength: number): number {
    const nodes = this.#nodes;
    let child = this.#buckets[this.#bucketOf(node, hash)]!;
    while (child !== 0) {
      const at = child << NODE_SHIFT;
      if (
        nodes[at + NAME_HASH] === hash &&
        nodes[at + PARENT] === node &&
        (nodes[at + NAME_BYTES]! & NAME_BYTES_MASK) === byteLength &&
        this.#isName(nodes[at + NAME_OFFSET]!, region, start, byteLength)
      ) {
        return child;
      }
      child = nodes[at + NEXT_IN_BUCKET]!;
    }
    return 0;
  }

  /** The child named `+`, 0 = none. */
  plusChildOf(node: number): number {
    if ((this.#nodes[(node << NODE_SHIFT) + NAME_BYTES]! & HAS_PLUS) === 0) return 0;
    return this.#wildcardOf(node, this.#plusHash, PLUS);
  }

  /** The child named `#`, 0 = none. */
  hashChildOf(node: number): number {
    if ((this.#nodes[(node << NODE_SHIFT) + NAME_BYTES]! & HAS_HASH) === 0) return 0;
    return this.#wildcardOf(node, this.#hashHash, HASH);
  }

  /** The newest child, 0 = none. */
  firstChildOf(node: number): number {
    return this.#nodes[(node << NODE_SHIFT) + FIRST_CHILD]!;
  }

  /** The next older child of the same parent, 0 = none. */
  nextSiblingOf(node: number): number {
    return this.#nodes[(node << NODE_SHIFT) + NEXT_SIBLING]!;
  }

  /** The first byte of a node's name, -1 when the name is empty. */
  firstByteOf(node: number): number {
    const at = node << NODE_SHIFT;
    if ((this.#nodes[at + NAME_BYTES]! & NAME_BYTES_MASK) === 0) return -1;
    return this.#names.bytes[this.#nodes[at + NAME_OFFSET]!]!;
  }

  /** Whether a node holds nothing and can be removed: no value, no child, not the root. */
  isBare(node: number): boolean {
    return node !== ROOT && this.#values[node] === undefined && this.firstChildOf(node) === 0;
  }

  /** Removes a bare node; returns its parent, which may be bare now. */
  remove(node: number): number {
    assert(this.isBare(node), "only a bare node is removed");
    const nodes = this.#nodes;
    const at = node << NODE_SHIFT;
    const parent = nodes[at + PARENT]!;
    const hash = nodes[at + NAME_HASH]!;
    const nameBytes = nodes[at + NAME_BYTES]! & NAME_BYTES_MASK;
    if (nameBytes === 1) nodes[(parent << NODE_SHIFT) + NAME_BYTES]! &= ~this.#flagOf(nodes[at + NAME_OFFSET]!);

    const next = nodes[at + NEXT_SIBLING]!;
    const previous = nodes[at + PREVIOUS_SIBLING]!;
    if (previous === 0) nodes[(parent << NODE_SHIFT) + FIRST_CHILD] = next;
    else nodes[(previous << NODE_SHIFT) + NEXT_SIBLING] = next;
    if (next !== 0) nodes[(next << NODE_SHIFT) + PREVIOUS_SIBLING] = previous;

    this.#unchain(node, this.#bucketOf(parent, hash));
    nodes[at + NEXT_IN_BUCKET] = this.#freeNode;
    nodes[at + PARENT] = NO_NODE;
    this.#freeNode = node;
    this.#liveNodes -= 1;
    this.#namesLive -= nameBytes;
    return parent;
  }

  #append(parent: number, hash: number, region: Region, start: number, byteLength: number): number {
    const node = this.#newNode();
    const nameOffset = this.#appendName(region, start, byteLength);
    const nodes = this.#nodes;
    const at = node << NODE_SHIFT;
    const parentAt = parent << NODE_SHIFT;
    const sibling = nodes[parentAt + FIRST_CHILD]!;
    nodes[at + PARENT] = parent;
    nodes[at + NAME_HASH] = hash;
    nodes[at + NAME_OFFSET] = nameOffset;
    nodes[at + NAME_BYTES] = byteLength;
    nodes[at + FIRST_CHILD] = 0;
    nodes[at + NEXT_SIBLING] = sibling;
    nodes[at + PREVIOUS_SIBLING] = 0;
    if (sibling !== 0) nodes[(sibling << NODE_SHIFT) + PREVIOUS_SIBLING] = node;
    nodes[parentAt + FIRST_CHILD] = node;
    if (byteLength === 1) nodes[parentAt + NAME_BYTES]! |= this.#flagOf(nameOffset);
    this.#chain(node, this.#bucketOf(parent, hash));
    return node;
  }

  #newNode(): number {
    this.#liveNodes += 1;
    if (this.#liveNodes > this.#buckets.length) this.#growBuckets();
    const free = this.#freeNode;
    if (free !== 0) {
      this.#freeNode = this.#nodes[(free << NODE_SHIFT) + NEXT_IN_BUCKET]!;
      return free;
    }
    const node = this.#values.push(undefined) - 1;
    if (node << NODE_SHIFT === this.#nodes.length) {
      const grown = new Int32Array(this.#nodes.length * 2);
      grown.set(this.#nodes);
      this.#nodes = grown;
    }
    return node;
  }

  #growBuckets(): void {
    this.#buckets = new Int32Array(this.#buckets.length * 2);
    const nodes = this.#nodes;
    for (let node = 1; node < this.#values.length; node += 1) {
      const at = node << NODE_SHIFT;
      const parent = nodes[at + PARENT]!;
      if (parent !== NO_NODE) this.#chain(node, this.#bucketOf(parent, nodes[at + NAME_HASH]!));
    }
  }

  #chain(node: number, bucket: number): void {
    this.#nodes[(node << NODE_SHIFT) + NEXT_IN_BUCKET] = this.#buckets[bucket]!;
    this.#buckets[bucket] = node;
  }

  #unchain(node: number, bucket: number): void {
    const nodes = this.#nodes;
    const next = nodes[(node << NODE_SHIFT) + NEXT_IN_BUCKET]!;
    let link = this.#buckets[bucket]!;
    if (link === node) {
      this.#buckets[bucket] = next;
      return;
    }
    while (nodes[(link << NODE_SHIFT) + NEXT_IN_BUCKET] !== node) link = nodes[(link << NODE_SHIFT) + NEXT_IN_BUCKET]!;
    nodes[(link << NODE_SHIFT) + NEXT_IN_BUCKET] = next;
  }

  #bucketOf(parent: number, hash: number): number {
    const mixed = Math.imul(hash ^ Math.imul(parent, 0x9e3779b1), 0x85ebca6b);
    return (mixed ^ (mixed >>> 15)) & (this.#buckets.length - 1);
  }

  #wildcardOf(node: number, hash: number, byte: number): number {
    const nodes = this.#nodes;
    let child = this.#buckets[this.#bucketOf(node, hash)]!;
    while (child !== 0) {
      const at = child << NODE_SHIFT;
      if (
        nodes[at + NAME_HASH] === hash &&
        nodes[at + PARENT] === node &&
        (nodes[at + NAME_BYTES]! & NAME_BYTES_MASK) === 1 &&
        this.#names.bytes[nodes[at + NAME_OFFSET]!] === byte
      ) {
        return child;
      }
      child = nodes[at + NEXT_IN_BUCKET]!;
    }
    return 0;
  }

  #flagOf(nameOffset: number): number {
    const byte = this.#names.bytes[nameOffset];
    if (byte === PLUS) return HAS_PLUS;
    return byte === HASH ? HAS_HASH : 0;
  }

  #isName(nameOffset: number, region: Region, start: number, byteLength: number): boolean {
    const names = this.#names.bytes;
    const bytes = region.bytes;
    for (let index = 0; index < byteLength; index += 1) {
      if (names[nameOffset + index] !== bytes[start + index]) return false;
    }
    return true;
  }

  #appendName(region: Region, start: number, byteLength: number): number {
    if (this.#namesEnd + byteLength > this.#names.bytes.length) this.#repackNames(byteLength);
    const offset = this.#namesEnd;
    copyBytes(this.#names, offset, region, start, byteLength);
    this.#namesEnd += byteLength;
    this.#namesLive += byteLength;
    return offset;
  }

  /** Copies the names of live nodes to a region with as much room again: what removed nodes left behind is gone. */
  #repackNames(extraBytes: number): void {
    const from = this.#names;
    const to = Region.allocate(Math.max(1024, (this.#namesLive + extraBytes) * 2));
    const nodes = this.#nodes;
    let end = 0;
    for (let node = 1; node < this.#values.length; node += 1) {
      const at = node << NODE_SHIFT;
      if (nodes[at + PARENT] === NO_NODE) continue;
      const byteLength = nodes[at + NAME_BYTES]! & NAME_BYTES_MASK;
      copyBytes(to, end, from, nodes[at + NAME_OFFSET]!, byteLength);
      nodes[at + NAME_OFFSET] = end;
      end += byteLength;
    }
    this.#names = to;
    this.#namesEnd = end;
  }
}

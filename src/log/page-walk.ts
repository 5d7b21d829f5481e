/**
 * A walk over every page that a store is made of: whether LMDB can be let loose on it, and what can be read where it cannot.
 *
 * Looked at: each meta page, and that the file reaches to its last page; each branch and leaf of each tree with its bounds, numbers and
 * order of keys; the first page of each value that has pages of its own; the list of free pages; that no page has two owners. Not
 * looked at: the values themselves, which have checksums of their own. A value costs a read of 24 bytes, however long it is.
 */
import {
  BRANCH,
  IN_OVERFLOW,
  kindOf,
  LEAF,
  type Meta,
  NO_PAGE,
  NUMBER_KEYS,
  nodesOf,
  numberOf,
  OVERFLOW,
  overflowPagesOf,
  PAGE_HEADER_BYTES,
  type PageFile,
  type PageNode,
  SUB_TREE,
  type Tree,
  transactionOf,
  treeOf,
  wordAt,
} from "./page-file.ts";

/** What is wrong with a page. */
export interface PageFault {
  readonly page: number;
  /** The tree it belongs to: "batches", …, "free", "main", or "meta". */
  readonly tree: string;
  readonly reason: string;
}

/** What a walk found. */
export interface PageWalk {
  readonly faults: readonly PageFault[];
  /** Trees with a fault somewhere. */
  readonly damagedTrees: ReadonlySet<string>;
  /** The trees by name, as far as "main" could be read. */
  readonly trees: ReadonlyMap<string, Tree>;
  /** Per page: USED, FREE, or 0 when it is neither. */
  readonly owners: Uint8Array;
  /** The newest transaction; -1 when no meta page could be read. */
  readonly transaction: number;
}

export const USED = 1;
export const FREE = 2;

/** Takes an entry of a tree; `read` gives its value, undefined when its pages are damaged. */
export type VisitEntry = (tree: string, key: Buffer, read: () => Buffer | undefined) => void;

/** Walks a whole file; `visit` gets every entry that can be reached, in order of key within each tree. */
export function walkPages(file: PageFile, visit: VisitEntry = () => undefined): PageWalk {
  return new Walk(file, visit).run();
}

/** Where the keys below a page lie: from `low` on, before `high`. */
interface KeyRange {
  readonly low: Buffer | undefined;
  readonly high: Buffer | undefined;
}

interface Counts {
  branches: number;
  leaves: number;
  overflowPages: number;
  entries: number;
}

class Walk implements PageWalk {
  readonly faults: PageFault[] = [];
  readonly damagedTrees = new Set<string>();
  readonly trees = new Map<string, Tree>();
  readonly owners: Uint8Array;
  transaction = -1;
  readonly #file: PageFile;
  readonly #visit: VisitEntry;
  #lastPage = 0;
  /** Pages in the list of free ones that the file does not reach to: they were never written. */
  #freeBeyondFile = 0;

  constructor(file: PageFile, visit: VisitEntry) {
    this.#file = file;
    this.#visit = visit;
    this.owners = new Uint8Array(file.pages);
    this.owners.fill(USED, 0, METAS);
  }

  run(): PageWalk {
    const meta = this.#newestMeta();
    if (meta === undefined) return this;
    this.transaction = meta.transaction;
    this.#lastPage = meta.lastPage;
    this.#walkTree("main", meta.main, (node, page) => this.#onMainEntry(node, page));
    // Last: a page that is free as well as used is the fault of the list, not of the tree.
    this.#walkTree("free", meta.free, (node, page) => this.#onFreeEntry(node, page));
    this.#checkEnd();
    return this;
  }

  /** LMDB maps the file up to the last page and adds behind it: what the file does not reach to must be free. */
  #checkEnd(): void {
    const beyond = this.#lastPage + 1 - this.owners.length;
    if (beyond <= this.#freeBeyondFile || this.damagedTrees.has("free")) return;
    this.#fault(this.transaction % 2 === 0 ? 0 : 1, "meta", `its last page, ${this.#lastPage}, is not in the file`);
  }

  /**
   * LMDB takes the meta page with the higher transaction, and opens nothing when one of them is bad. Each commit writes the page that its
   * number's lowest bit names. What makes the newest commit look older than the one before cannot be told from a crash before it.
   */
  #newestMeta(): Meta | undefined {
    const metas: Meta[] = [];
    for (const which of [0, 1] as const) {
      const meta = this.#file.meta(which);
      if (typeof meta === "string") this.#fault(which, "meta", meta);
      else if (meta.lastPage < METAS - 1 || meta.lastPage === NO_PAGE)
        this.#fault(which, "meta", "impossible last page");
      else if (meta.transaction > 0 && meta.transaction % 2 !== which)
        this.#fault(which, "meta", "its transaction is one of the other page");
      else metas.push(meta);
    }
    const [one, other] = metas;
    if (one === undefined || other === undefined) return one;
    const [newer, older] = one.transaction >= other.transaction ? [one, other] : [other, one];
    // What breaks the row is no commit.
    if (newer.transaction - older.transaction > 1)
      this.#fault(newer === one ? 0 : 1, "meta", "its transaction is out of the row");
    return newer;
  }

  #walkTree(name: string, tree: Tree, onEntry: (node: PageNode, page: number) => void): void {
    if (tree.flags !== (name === "free" ? NUMBER_KEYS : 0)) this.#fault(0, name, `flags ${tree.flags}`);
    if (tree.root === NO_PAGE) {
      if (tree.entries !== 0) this.#fault(0, name, "entries without a root");
      return;
    }
    const counts: Counts = { branches: 0, leaves: 0, overflowPages: 0, entries: 0 };
    const isWhole = this.#walkPage(
      name,
      tree.root,
      tree.depth - 1,
      { low: undefined, high: undefined },
      counts,
      onEntry,
    );
    if (!isWhole || this.damagedTrees.has(name)) return;
    for (const count of ["branches", "leaves", "overflowPages", "entries"] as const) {
      if (counts[count] !== tree[count])
        this.#fault(tree.root, name, `${counts[count]} ${count}, and counts ${tree[count]}`);
    }
  }

  /** Whether everything below was reached. `below` counts the levels under this page. */
  #walkPage(
    name: string,
    number: number,
    below: number,
    range: KeyRange,
    counts: Counts,
    onEntry: (node: PageNode, page: number) => void,
  ): boolean {
    const nodes = this.#nodesAt(name, number, below, range);
    if (nodes === undefined) return false;
    if (below === 0) {
      counts.leaves += 1;
      counts.entries += nodes.length;
      for (const node of nodes) {
        if ((node.flags & IN_OVERFLOW) !== 0) counts.overflowPages += this.#claimValue(name, number, node);
        onEntry(node, number);
      }
      return true;
    }
    counts.branches += 1;
    let isWhole = true;
    for (const [index, { key, child }] of nodes.entries()) {
      const low = index === 0 ? range.low : key;
      const high = nodes[index + 1]?.key ?? range.high;
      if (!this.#walkPage(name, child, below - 1, { low, high }, counts, onEntry)) isWhole = false;
    }
    return isWhole;
  }

  /** Claims a page of a tree and reads its nodes; undefined when it is damaged. */
  #nodesAt(name: string, number: number, below: number, range: KeyRange): PageNode[] | undefined {
    const claimed = this.#claim(number, 1);
    if (claimed !== undefined) return this.#fault(number, name, claimed);
    const page = this.#file.page(number);
    const wanted = below === 0 ? LEAF : BRANCH;
    if (numberOf(page) !== number) return this.#fault(number, name, "it has another page's number");
    if (kindOf(page) !== wanted) return this.#fault(number, name, `kind ${kindOf(page)} where ${wanted} belongs`);
    if (transactionOf(page) > this.transaction) return this.#fault(number, name, "it is newer than the last commit");
    const nodes = nodesOf(page);
    if (typeof nodes === "string") return this.#fault(number, name, nodes);
    if (nodes.length < (below === 0 ? 1 : 2)) return this.#fault(number, name, "too few nodes");
    const isOrdered = name === "free" ? isNumbersInOrder(nodes, below) : isInOrder(nodes, below, range);
    return isOrdered ? nodes : this.#fault(number, name, "keys out of order");
  }

  /** Claims the pages of a value; how many. */
  #claimValue(name: string, leaf: number, { inline, valueBytes }: PageNode): number {
    const first = wordAt(inline, 0);
    const pages = wordAt(inline, 16);
    const reason = this.#faultOfValue(first, pages, valueBytes);
    if (reason !== undefined) this.#fault(leaf, name, `its value at page ${first}: ${reason}`);
    return pages;
  }

  #faultOfValue(first: number, pages: number, valueBytes: number): string | undefined {
    if (pages !== Math.ceil((PAGE_HEADER_BYTES + valueBytes) / this.#file.pageBytes))
      return "its length is not that of its pages";
    const claimed = this.#claim(first, pages);
    if (claimed !== undefined) return claimed;
    const header = this.#file.headerOf(first);
    if (numberOf(header) !== first) return "it has another page's number";
    if (kindOf(header) !== OVERFLOW) return `kind ${kindOf(header)} where ${OVERFLOW} belongs`;
    if (overflowPagesOf(header) !== pages) return "it counts other pages";
    if (transactionOf(header) > this.transaction) return "it is newer than the last commit";
    return undefined;
  }

  /** Takes pages that nobody has; why not otherwise. */
  #claim(first: number, pages: number): string | undefined {
    const end = first + pages;
    if (first < METAS || end > this.#lastPage + 1 || end > this.owners.length) return "outside of the file";
    for (let page = first; page < end; page += 1) if (this.owners[page] !== 0) return "it has another owner";
    this.owners.fill(USED, first, end);
    return undefined;
  }

  #onMainEntry(node: PageNode, page: number): void {
    const name = node.key.toString("utf8", 0, node.key.at(-1) === 0 ? node.key.length - 1 : node.key.length);
    const tree = (node.flags & SUB_TREE) === 0 ? undefined : treeOf(node.inline);
    if (tree === undefined) {
      this.#fault(page, "main", "an entry that is no tree");
      return;
    }
    this.trees.set(name, tree);
    this.#walkTree(name, tree, (entry, leaf) => this.#visit(name, entry.key, () => this.#valueOf(name, leaf, entry)));
  }

  #valueOf(name: string, leaf: number, { flags, inline, valueBytes }: PageNode): Buffer | undefined {
    if ((flags & IN_OVERFLOW) === 0) return inline;
    const first = wordAt(inline, 0);
    if (first < METAS || (first + 1) * this.#file.pageBytes > this.#file.bytes) return undefined;
    if (valueBytes > this.#file.bytes) return undefined;
    const header = this.#file.headerOf(first);
    if (numberOf(header) !== first && this.damagedTrees.has(name)) return undefined;
    const value = this.#file.overflowValue(first, valueBytes);
    if (value.length === valueBytes) return value;
    this.#fault(leaf, name, `its value at page ${first} is cut short`);
    return undefined;
  }

  /** A list of free pages: its length, then a page number each, or -n and the first of n pages; 0 is a gap. */
  #onFreeEntry(node: PageNode, page: number): void {
    const list = (node.flags & IN_OVERFLOW) === 0 ? node.inline : this.#valueOf("free", page, node);
    const words = list === undefined ? 0 : Math.floor(list.length / 8);
    const length = words === 0 ? 0 : wordAt(list!, 0);
    if (words === 0 || length > words - 1) {
      this.#fault(page, "free", "a list that is longer than its value");
      return;
    }
    for (let word = 1; word <= length; word += 1) {
      const entry = Number(list!.readBigInt64LE(word * 8));
      if (entry === 0) continue;
      if (entry < 0) word += 1;
      if (word > length) return; // A length without its block: LMDB passes it over.
      const first = entry < 0 ? Number(list!.readBigInt64LE(word * 8)) : entry;
      if (!this.#free(first, entry < 0 ? -entry : 1)) {
        this.#fault(page, "free", `page ${first} is listed as free, and is not`);
        return;
      }
    }
  }

  #free(first: number, pages: number): boolean {
    const end = first + pages;
    if (first < METAS || end > this.#lastPage + 1) return false;
    for (let page = first; page < Math.min(end, this.owners.length); page += 1) {
      if (this.owners[page] !== 0) return false;
      this.owners[page] = FREE;
    }
    this.#freeBeyondFile += Math.max(0, end - Math.max(first, this.owners.length));
    return true;
  }

  #fault(page: number, tree: string, reason: string): undefined {
    this.damagedTrees.add(tree);
    if (this.faults.length < FAULTS_MAX) this.faults.push({ page, tree, reason });
  }
}

/** Meta pages. */
const METAS = 2;
/** A store with more is not looked at page by page. */
const FAULTS_MAX = 1_000;

function isInOrder(nodes: readonly PageNode[], below: number, { low, high }: KeyRange): boolean {
  let last = low;
  for (const [index, { key }] of nodes.entries()) {
    if (below > 0 && index === 0) continue; // The first key of a branch says nothing.
    if (last !== undefined && (index === 0 || last === low ? key.compare(last) < 0 : key.compare(last) <= 0))
      return false;
    last = key;
  }
  return high === undefined || last === undefined || last === low || last.compare(high) < 0;
}

/** Keys of the list of free pages are transactions. */
function isNumbersInOrder(nodes: readonly PageNode[], below: number): boolean {
  let last = -1;
  for (const [index, { key }] of nodes.entries()) {
    if (below > 0 && index === 0) continue;
    if (key.length !== 8 || wordAt(key, 0) <= last) return false;
    last = wordAt(key, 0);
  }
  return true;
}

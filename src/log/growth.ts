/**
 * How much longer a commit can make the store's file at most. LMDB copies every page that it changes, so the growth is the
 * new values in whole pages, the pages on the way to every key that is touched, and the list of the pages that become free.
 */
import type { BatchTable } from "./batch-table.ts";
import type { Commit } from "./commit.ts";

const PAGE_BYTES = 4096;
/** Values up to this lie in a leaf among others; larger ones have pages of their own. */
const LEAF_VALUE_BYTES_MAX = 1024;
/** Roots, branches, splits and the free list's own pages, of all stores that a commit touches. */
const FIXED_PAGES = 128;
/** A key in each of "batches", "indexes" and "settled", and a neighbour to merge with. */
const PAGES_PER_REMOVAL = 6;
const PAGES_PER_KEY = 2;
/** Of keys that follow each other: a page in each store. */
const PAGES_PER_NEIGHBOUR = 3;
/** Up to so many touched pages a first guess does not ask for the true number of pages in the trees: that takes 0.1 ms. */
const TOUCHED_PAGES_GUESSED = 2_048;

/** Bytes, an upper bound: a guess, or near. `treePages` answers the leaf and branch pages of the whole store. */
export function growthOfCommit(commit: Commit, table: BatchTable, treePages: () => number, isGuess: boolean): number {
  let valuePages = commit.puts.pages(pagesOfValue);
  let touchedPages =
    (commit.puts.keys + commit.dirty.length) * PAGES_PER_KEY + commit.removals.length * PAGES_PER_REMOVAL;
  let freedBytes = commit.removedBytes;
  if (commit.image !== undefined) {
    const { arena, image } = commit;
    valuePages += pagesOfValue(image.valueBytes) + pagesOfValue(arena.indexBytes) + pagesOfValue(arena.records / 8);
    touchedPages += 3 * PAGES_PER_KEY;
  }
  for (const index of commit.indexes.values()) {
    valuePages += pagesOfValue(index.length);
    touchedPages += PAGES_PER_KEY;
  }
  for (const { batch, image, index } of commit.rewrites) {
    valuePages += pagesOfValue(image.valueBytes) + pagesOfValue(index.length);
    touchedPages += 3 * PAGES_PER_KEY;
    if (table.find(batch)) freedBytes += table.storedBytes;
  }
  for (const { batches, image, index } of commit.merges) {
    valuePages += pagesOfValue(image.valueBytes) + pagesOfValue(index.length);
    touchedPages += batches.length * PAGES_PER_NEIGHBOUR + 3 * PAGES_PER_KEY;
    for (const batch of batches) if (table.find(batch)) freedBytes += table.storedBytes;
  }
  for (const batch of commit.dirty) if (table.find(batch)) valuePages += pagesOfValue(table.records / 8);
  if (!isGuess || touchedPages > TOUCHED_PAGES_GUESSED) {
    const newLeaves = commit.puts.keys + commit.dirty.length;
    touchedPages = Math.min(touchedPages, 2 * treePages() + newLeaves);
  }
  const freedPages = Math.ceil(freedBytes / PAGE_BYTES) + touchedPages + commit.removals.length;
  const freeListPages = Math.ceil((freedPages * 8) / PAGE_BYTES) * 2; // A number of 8 bytes each, written once or twice.
  return (valuePages + touchedPages + freeListPages + FIXED_PAGES) * PAGE_BYTES;
}

function pagesOfValue(bytes: number): number {
  return bytes <= LEAF_VALUE_BYTES_MAX ? 0 : Math.ceil(bytes / PAGE_BYTES) + 1;
}

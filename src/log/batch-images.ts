/**
 * The values of batches as their readers find them: just stored, read lately, or on disk. The arenas in which they gathered are used again.
 *
 * ```
 *   arena ──stored──► kept in memory ──pushed out──► arena is free, the value is on disk
 *   disk ──load──► read memory ──pushed out──► free for the next load
 * ```
 */
import { Region } from "../base/region.ts";
import { Arena } from "./arena.ts";
import { BatchImage } from "./batch-image.ts";
import type { BatchTable } from "./batch-table.ts";
import type { DamageReport } from "./damage-report.ts";
import type { Environment } from "./environment.ts";
import { ReadCache } from "./read-cache.ts";
import { ReadMemory } from "./read-memory.ts";

/** Arenas kept for the next batches: one gathers while one commits. */
const FREE_ARENAS_MAX = 2;

export interface BatchImagesParts {
  readonly environment: Environment;
  readonly table: BatchTable;
  readonly damage: DamageReport;
  readonly cacheBytes: number;
}

export class BatchImages {
  readonly #parts: BatchImagesParts;
  readonly #cache: ReadCache;
  readonly #freeArenas: Arena[] = [];
  readonly #readMemory = new ReadMemory();
  readonly #takeReadMemory = (byteLength: number): Region => this.#readMemory.take(byteLength);
  /** Values read from the disk because no memory held them. */
  loads = 0;

  constructor(parts: BatchImagesParts) {
    this.#parts = parts;
    this.#cache = new ReadCache(parts.cacheBytes, (image) => {
      if (image.arena === undefined) this.#readMemory.giveBack(image.region);
      else this.release(image.arena);
    });
  }

  /** An arena for the next batch. */
  takeArena(): Arena {
    return this.#freeArenas.pop() ?? new Arena();
  }

  release(arena: Arena): void {
    if (this.#freeArenas.length < FREE_ARENAS_MAX) this.#freeArenas.push(arena);
  }

  put(image: BatchImage): void {
    this.#cache.put(image);
  }

  drop(batch: number): void {
    this.#cache.drop(batch);
  }

  /** Keeps a batch that was just stored, if some of it lives: a small one as a copy, so that its arena gathers again. */
  keep(batch: number, image: BatchImage | undefined, arena: Arena): void {
    if (image === undefined || !this.#parts.table.find(batch)) {
      this.release(arena);
      return;
    }
    if (image.valueBytes * 4 > arena.heldBytes) {
      this.#cache.put(image);
      return;
    }
    const copy = this.#readMemory.take(image.valueBytes);
    image.region.bytes.copy(copy.bytes, 0, 0, image.valueBytes);
    this.#cache.put(new BatchImage(batch, copy, undefined));
    this.release(arena);
  }

  /** Of a committed batch that the table has found: its value from memory or disk; undefined when it is damaged. */
  load(batch: number): BatchImage | undefined {
    const kept = this.#cache.get(batch);
    if (kept !== undefined) return kept;
    const image = this.#read(batch, this.#takeReadMemory);
    if (image !== undefined) this.#cache.put(image);
    return image;
  }

  /** The same for a value that is not kept: nothing leaves memory for it, so it is there together with others. */
  loadAside(batch: number): BatchImage | undefined {
    return this.#cache.get(batch) ?? this.#read(batch, Region.allocate);
  }

  #read(batch: number, take: (byteLength: number) => Region): BatchImage | undefined {
    const { environment, table, damage } = this.#parts;
    if (table.isDamaged) return undefined;
    this.loads += 1;
    const value = environment.readBatch(batch, take);
    const image = value === undefined ? "the value is missing" : BatchImage.of(batch, value);
    if (image instanceof BatchImage) return image;
    table.markDamaged();
    const lastBatch = table.isMerged ? { lastBatch: table.lastBatch } : {};
    damage.add({ what: "batch", batch, ...lastBatch, records: table.live, reason: image }, value?.bytes);
    return undefined;
  }
}

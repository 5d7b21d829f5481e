/** Batches kept in memory for reading, bounded by the memory they hold; the least recently read goes first. */
import type { BatchImage } from "./batch-image.ts";

export class ReadCache {
  readonly #bytesMax: number;
  readonly #onEvicted: (image: BatchImage) => void;
  /** In order of use, the latest last. */
  readonly #images = new Map<number, BatchImage>();
  #bytes = 0;
  #latest: BatchImage | undefined;

  /** `onEvicted` gets every image that leaves, for the arena it may hold. */
  constructor(bytesMax: number, onEvicted: (image: BatchImage) => void) {
    this.#bytesMax = bytesMax;
    this.#onEvicted = onEvicted;
  }

  get(batch: number): BatchImage | undefined {
    if (this.#latest?.batch === batch) return this.#latest;
    const image = this.#images.get(batch);
    if (image === undefined) return undefined;
    this.#images.delete(batch);
    this.#images.set(batch, image);
    this.#latest = image;
    return image;
  }

  /** Adds or replaces a batch's image. The newest stays, however large it is. */
  put(image: BatchImage): void {
    this.drop(image.batch);
    this.#images.set(image.batch, image);
    this.#bytes += image.heldBytes;
    this.#latest = image;
    for (const batch of this.#images.keys()) {
      if (this.#bytes <= this.#bytesMax || batch === image.batch) break;
      this.drop(batch);
    }
  }

  drop(batch: number): void {
    const image = this.#images.get(batch);
    if (image === undefined) return;
    this.#images.delete(batch);
    this.#bytes -= image.heldBytes;
    if (this.#latest === image) this.#latest = undefined;
    this.#onEvicted(image);
  }
}

/** Connections that are gone: main is told how many, of each listener, once in a round of the event loop. */
export class ClosedConnections {
  readonly #tell: (listener: string, count: number) => void;
  readonly #counts = new Map<string, number>();

  constructor(tell: (listener: string, count: number) => void) {
    this.#tell = tell;
  }

  /** One more, of the listener of this name. */
  add(listener: string): void {
    if (this.#counts.size === 0) setImmediate(() => this.#tellAll());
    this.#counts.set(listener, (this.#counts.get(listener) ?? 0) + 1);
  }

  #tellAll(): void {
    for (const [listener, count] of this.#counts) this.#tell(listener, count);
    this.#counts.clear();
  }
}

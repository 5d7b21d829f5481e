/** Connections that are gone: main is told the address of each, by listener, once in a round of the event loop. */
export class ClosedConnections {
  readonly #tell: (listener: string, addresses: readonly string[]) => void;
  readonly #addresses = new Map<string, string[]>();

  constructor(tell: (listener: string, addresses: readonly string[]) => void) {
    this.#tell = tell;
  }

  /** One more, of the listener of this name. */
  add(listener: string, address: string): void {
    if (this.#addresses.size === 0) setImmediate(() => this.#tellAll());
    const addresses = this.#addresses.get(listener);
    if (addresses === undefined) this.#addresses.set(listener, [address]);
    else addresses.push(address);
  }

  #tellAll(): void {
    for (const [listener, addresses] of this.#addresses) this.#tell(listener, addresses);
    this.#addresses.clear();
  }
}

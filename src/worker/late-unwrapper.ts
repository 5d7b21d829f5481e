/**
 * The unwrapper of a worker, loaded behind the worker's start, of which TLS, HTTP and WebSocket would take a fifth, and before it is needed:
 * by then there may be no descriptor left to read it with, and a module that could not be read once is not read again.
 *
 * ```
 *   open ──► loading ──► open, in order        certificates, end: kept for it, or passed on
 * ```
 */
import type { WrappedConnection } from "../transport/hand-over.ts";
import { isWrapped } from "../transport/listener.ts";
import type { Unwrapper, UnwrapperOptions } from "../transport/unwrapper.ts";

type Certificates = UnwrapperOptions["certificates"];

export class LateUnwrapper {
  readonly #options: Omit<UnwrapperOptions, "certificates">;
  #certificates: Certificates;
  #unwrapper: Unwrapper | undefined;
  #loading: Promise<void> | undefined;

  constructor({ certificates, ...options }: UnwrapperOptions) {
    this.#options = options;
    this.#certificates = certificates;
  }

  /** Loads it, if a listener may need it. */
  async prepare(): Promise<void> {
    if (!this.#options.listeners.some(isWrapped)) return;
    this.#loading ??= this.#load();
    await this.#loading.catch(() => {}); // Connections will tell.
  }

  /** Calls `open` with the unwrapper, soon or at once; connections in their order. Or `onFault`: it cannot be loaded. */
  open(
    connection: WrappedConnection,
    open: (unwrapper: Unwrapper, connection: WrappedConnection) => void,
    onFault: (error: Error, connection: WrappedConnection) => void,
  ): void {
    if (this.#unwrapper !== undefined) {
      open(this.#unwrapper, connection);
      return;
    }
    this.#loading ??= this.#load();
    void this.#loading.then(
      () => open(this.#unwrapper!, connection),
      (error: Error) => onFault(error, connection),
    );
  }

  async #load(): Promise<void> {
    const { Unwrapper } = await import("../transport/unwrapper.ts");
    this.#unwrapper = new Unwrapper({ ...this.#options, certificates: this.#certificates });
  }

  useCertificates(certificates: Certificates): void {
    this.#certificates = certificates;
    this.#unwrapper?.useCertificates(certificates);
  }

  sever(tunnel: number): void {
    this.#unwrapper?.sever(tunnel);
  }

  get connectionCount(): number {
    return this.#unwrapper?.connectionCount ?? 0;
  }

  end(): void {
    this.#unwrapper?.end();
  }

  destroy(): void {
    this.#unwrapper?.destroy();
  }
}

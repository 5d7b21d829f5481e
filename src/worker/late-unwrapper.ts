/**
 * The unwrapper of a worker, loaded with the first connection that needs one: TLS, HTTP and WebSocket take a fifth of a worker's start, and
 * many brokers are asked for none of them.
 *
 * ```
 *   open ──► loading ──► open, in order        certificates, end: kept for it, or passed on
 * ```
 */
import type { WrappedConnection } from "../transport/hand-over.ts";
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

  /**
   * Calls `open` with the unwrapper, soon or at once; connections in their order. Or `onFault`: it cannot be loaded, as when no descriptor is
   * left to read it with. The next connection tries again.
   */
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
      (error: Error) => {
        this.#loading = undefined;
        onFault(error, connection);
      },
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

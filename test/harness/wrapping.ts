/**
 * A relay that wraps: what tests write into a plain socket goes to the broker in TLS, in WebSocket or in both, and back. So a suite of
 * plain MQTT runs over every transport as it is.
 */
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect } from "node:tls";
import { createWebSocketStream, WebSocket } from "ws";
import { Authority, type CertificatePaths } from "./certificates.ts";

export const TRANSPORTS = ["tcp", "tls", "ws", "wss"] as const;
export type Transport = (typeof TRANSPORTS)[number];

export class Wrapping {
  /** The broker's port of the transport. */
  targetPort = 0;
  readonly #transport: Transport;
  readonly #authority: Authority | null;
  readonly #server: Server;
  readonly #streams = new Set<Duplex>();
  readonly #certificate: CertificatePaths | null;

  private constructor(transport: Transport) {
    this.#transport = transport;
    this.#authority = transport === "ws" ? null : new Authority();
    this.#certificate = this.#authority?.issue("the broker") ?? null;
    this.#server = createServer({ noDelay: true }, (plain) => this.#relay(plain));
  }

  static async start(transport: Transport): Promise<Wrapping> {
    const wrapping = new Wrapping(transport);
    wrapping.#server.listen(0, "127.0.0.1");
    await once(wrapping.#server, "listening");
    return wrapping;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** For the broker's settings: its listeners, that of the transport called `wrapped`. */
  get settings(): string {
    const { cert, key } = this.#certificate ?? {};
    const tls = cert === undefined ? "" : `, tls: {cert: ${cert}, key: ${key}}`;
    return `listeners: [{type: tcp, port: 0}, {type: ${this.#transport}, name: wrapped, port: 0${tls}}]\n`;
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const stream of this.#streams) stream.destroy();
    await once(this.#server, "close");
    this.#authority?.remove();
  }

  #relay(plain: Socket): void {
    const wrapped = this.#open();
    for (const [from, to] of [
      [plain, wrapped],
      [wrapped, plain],
    ] as const) {
      this.#streams.add(from);
      from.on("error", () => {}); // Its close follows, and that of the other side with it.
      from.on("close", () => {
        this.#streams.delete(from);
        if (from.readableEnded) to.end();
        else to.destroy();
      });
      from.pipe(to);
    }
  }

  #open(): Duplex {
    const ca = this.#authority?.pem;
    if (this.#transport === "tls") return connect({ port: this.targetPort, host: "127.0.0.1", ca });
    const url = `${this.#transport}://127.0.0.1:${this.targetPort}/mqtt`;
    return createWebSocketStream(new WebSocket(url, ["mqtt"], { ca, perMessageDeflate: false }));
  }
}

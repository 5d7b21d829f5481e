/**
 * The HTTP request that opens a WebSocket for MQTT.
 *
 * ```
 *   GET /mqtt, Upgrade ──► path, origin, subprotocol, key ──┬─► 101, and frames from then on (web-socket-frames.ts)
 *   anything else ────────────────────────────────────────► 400, 403, 404, 405, 426
 * ```
 */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { UPGRADE_HEAD_BYTES_MAX } from "../base/limits.ts";

export interface UpgraderOptions {
  /** Of the request, exactly; what follows a "?" does not count. */
  readonly path: string;
  /** Origins that may; null for any. A request without the header is of no browser, and may. */
  readonly origins: readonly string[] | null;
  /** `carrier` is a WebSocket now; `head` is what has come of its frames. */
  readonly onOpened: (carrier: Duplex, head: Buffer) => void;
}

/** Opens WebSockets on streams that come from elsewhere. */
export class Upgrader {
  readonly #options: UpgraderOptions;
  /** Streams whose first request was none for a WebSocket. */
  readonly #refused = new WeakSet<Duplex>();
  readonly #http = createServer({ maxHeaderSize: UPGRADE_HEAD_BYTES_MAX, noDelay: true });

  constructor(options: UpgraderOptions) {
    this.#options = options;
    this.#http.on("upgrade", (request, carrier, head) => this.#upgrade(request, carrier, head));
    this.#http.on("request", (request, response) => {
      const isPath = pathOf(request) === options.path;
      this.#refused.add(request.socket);
      response
        .writeHead(isPath ? 426 : 404, { Connection: "close", ...(isPath ? { Upgrade: "websocket" } : {}) })
        .end();
    });
  }

  /** Waits for the request on a stream that nothing has been read from. Its end, and its deadline, are the caller's. */
  receive(carrier: Duplex): void {
    this.#http.emit("connection", carrier);
  }

  #upgrade(request: IncomingMessage, carrier: Duplex, head: Buffer): void {
    carrier.on("error", () => {});
    if (this.#refused.has(carrier)) {
      carrier.end(); // Sent behind the request that was refused; that answer said that it is the last.
      return;
    }
    const refusal = this.#refusalOf(request);
    if (refusal !== null) {
      carrier.end(`HTTP/1.1 ${refusal}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    const { headers } = request;
    const accept = createHash("sha1").update(`${headers["sec-websocket-key"]}${KEY_SUFFIX}`).digest("base64");
    carrier.write(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        `Sec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: ${subprotocolOf(request)}\r\n\r\n`,
    );
    this.#options.onOpened(carrier, head);
  }

  /** Status and headers of the answer to a request that opens none; null for one that does. */
  #refusalOf(request: IncomingMessage): string | null {
    const { path, origins } = this.#options;
    const { method, headers, httpVersion } = request;
    const { origin } = headers;
    if (pathOf(request) !== path) return "404 Not Found";
    if (httpVersion !== "1.1" || headers.host === undefined) return "400 Bad Request";
    if (method !== "GET") return "405 Method Not Allowed\r\nAllow: GET";
    if (headers.upgrade?.toLowerCase() !== "websocket") return "426 Upgrade Required\r\nUpgrade: websocket";
    if (origins !== null && origin !== undefined && !origins.includes(origin)) return "403 Forbidden";
    if (headers["sec-websocket-version"] !== VERSION) {
      return `426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: ${VERSION}`;
    }
    if (!KEY.test(headers["sec-websocket-key"] ?? "") || subprotocolOf(request) === undefined) return "400 Bad Request";
    return null;
  }
}

const SUBPROTOCOLS = ["mqtt", "mqttv3.1"];
const VERSION = "13";
/** Sixteen bytes in base64, and what RFC 6455 puts behind them. */
const KEY = /^[+/0-9A-Za-z]{22}==$/;
const KEY_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** The one to speak; undefined when the client offers none of ours [MQTT-6.0.0-3] [MQTT-6.0.0-4]. */
function subprotocolOf({ headers }: IncomingMessage): string | undefined {
  const offered = (headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
  return SUBPROTOCOLS.find((name) => offered.includes(name));
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? "").split("?", 1)[0]!;
}

/**
 * MQTT over WebSocket: the HTTP request that opens one, and a WebSocket as a stream of bytes. The one door to ws.
 *
 * ```
 *   GET /mqtt, Upgrade ──► path, origin, subprotocol ──┬─► WebSocket ──► Duplex
 *   anything else ───────────────────────────────────► 400, 403, 404, 426
 * ```
 *
 * Of what comes, frames and packets know nothing of each other: a packet may span frames, a frame may hold many packets [MQTT-6.0.0-2].
 * What is sent is one message for each packet (`packet-frames.ts`).
 */
import { createServer, type IncomingMessage } from "node:http";
import { Duplex } from "node:stream";
import { WebSocket, WebSocketServer } from "ws";
import {
  END_DEADLINE_MS,
  READ_BUFFER_BYTES,
  UPGRADE_HEAD_BYTES_MAX,
  WEB_SOCKET_FRAGMENTS_MAX,
  WEB_SOCKET_MESSAGE_SLACK_BYTES,
  WEB_SOCKET_OUTPUT_BUDGET_BYTES,
  WEB_SOCKET_PONG_BYTES_MAX,
  WEB_SOCKET_READS_MAX,
  WEB_SOCKET_WHOLE_BYTES_MAX,
} from "../base/limits.ts";
import { PacketFrames } from "./packet-frames.ts";

export interface UpgraderOptions {
  /** Of the request, exactly; what follows a "?" does not count. */
  readonly path: string;
  /** Origins that may; null for any. A request without the header is of no browser, and may. */
  readonly origins: readonly string[] | null;
  readonly packetBytesMax: number;
  /** The code that a WebSocket is closed with when its session has ended. */
  readonly closeCode: () => number;
  /** `carrier` is a WebSocket now, and `stream` the bytes in its frames. */
  readonly onOpened: (carrier: Duplex, stream: Duplex) => void;
  /** `readBytes` have come for this stream, and of its unfinished message so many bytes more, or less, are held. */
  readonly onRead: (stream: Duplex, readBytes: number, heldBytes: number) => void;
}

/** Opens WebSockets on streams that come from elsewhere. */
export class Upgrader {
  readonly #options: UpgraderOptions;
  readonly #http = createServer({ maxHeaderSize: UPGRADE_HEAD_BYTES_MAX, noDelay: true });
  readonly #webSockets: WebSocketServer;

  constructor(options: UpgraderOptions) {
    this.#options = options;
    const webSocketOptions = {
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      autoPong: false,
      maxPayload: options.packetBytesMax + WEB_SOCKET_MESSAGE_SLACK_BYTES,
      maxFragments: WEB_SOCKET_FRAGMENTS_MAX,
      maxBufferedChunks: WEB_SOCKET_READS_MAX,
      closeTimeout: END_DEADLINE_MS, // Not in the types yet.
      handleProtocols: (offered: Set<string>) => protocolOf(offered) ?? false,
    };
    this.#webSockets = new WebSocketServer(webSocketOptions);
    this.#http.on("upgrade", (request, carrier, head) => this.#upgrade(request, carrier, head));
    this.#http.on("request", (request, response) => {
      const isPath = pathOf(request) === options.path;
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
    const { path, origins } = this.#options;
    const { origin } = request.headers;
    const offered = new Set((request.headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim()));
    if (pathOf(request) !== path) refuseUpgrade(carrier, "404 Not Found");
    else if (origins !== null && origin !== undefined && !origins.includes(origin))
      refuseUpgrade(carrier, "403 Forbidden");
    else if (protocolOf(offered) === undefined) refuseUpgrade(carrier, "400 Bad Request");
    else this.#webSockets.handleUpgrade(request, carrier, head, (webSocket) => this.#open(webSocket, carrier));
  }

  #open(webSocket: WebSocket, carrier: Duplex): void {
    const { closeCode, onOpened, onRead } = this.#options;
    let heldBytes = 0;
    const hold = (readBytes: number, nowBytes: number): void => {
      const before = heldBytes;
      heldBytes = nowBytes;
      onRead(stream, readBytes, nowBytes - before);
    };
    const stream = streamOf(webSocket, carrier, closeCode);
    // ws has looked at it by then: it listens since before the request was answered.
    carrier.on("data", (bytes: Buffer) => hold(bytes.length, unfinishedBytesOf(webSocket)));
    webSocket.on("close", () => hold(0, 0));
    onOpened(carrier, stream);
  }
}

const SUBPROTOCOLS = ["mqtt", "mqttv3.1"];
const UNSUPPORTED_DATA = 1003;

/** The one to speak; undefined when the client offers none of ours [MQTT-6.0.0-3] [MQTT-6.0.0-4]. */
function protocolOf(offered: ReadonlySet<string>): string | undefined {
  return SUBPROTOCOLS.find((name) => offered.has(name));
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? "").split("?", 1)[0]!;
}

function refuseUpgrade(carrier: Duplex, status: string): void {
  carrier.on("error", () => {});
  carrier.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

/** ws's parser under a WebSocket: the members that have no public door. */
interface Receiver {
  /** Bytes behind the last whole frame, or piece of one that went on to its message; and of the message that is not whole. */
  readonly _bufferedBytes: number;
  readonly _messageLength: number;
}

/** What has come of a message whose end has not. */
function unfinishedBytesOf(webSocket: WebSocket): number {
  const receiver = (webSocket as unknown as { readonly _receiver: Receiver })._receiver;
  return receiver._bufferedBytes + receiver._messageLength;
}

/** Of all clients of this thread: what is held for a frame, or framed and not yet written. */
let outputBytes = 0;

/** Packets on their way into frames and to a carrier, past ws: whole frames, as its own are, of which it holds none back without compression. */
class PacketOutput {
  readonly #carrier: Duplex;
  readonly #packets = new PacketFrames();

  constructor(carrier: Duplex) {
    this.#carrier = carrier;
  }

  /** `done`: more may come. */
  write(bytes: Buffer, done: (error?: Error | null) => void): void {
    const packets = this.#packets;
    const wholeBytesMax = outputBytes < WEB_SOCKET_OUTPUT_BUDGET_BYTES ? WEB_SOCKET_WHOLE_BYTES_MAX : READ_BUFFER_BYTES;
    outputBytes -= packets.heldBytes;
    const frames = packets.next(bytes, wholeBytesMax);
    outputBytes += packets.heldBytes;
    if (frames.length === 0) {
      done();
      return;
    }
    outputBytes += frames.length;
    this.#carrier.write(frames, (error) => {
      outputBytes -= frames.length;
      done(error);
    });
  }

  /** Lets go of what it holds; idempotent. */
  drop(): void {
    outputBytes -= this.#packets.drop();
  }
}

/** The payload of a WebSocket's binary messages, both ways. */
function streamOf(webSocket: WebSocket, carrier: Duplex, closeCode: () => number): Duplex {
  let isRefused = false;
  const output = new PacketOutput(carrier);
  const stream = new Duplex({
    read: () => webSocket.resume(),
    write: (bytes: Buffer, _encoding, done) => {
      if (webSocket.readyState !== WebSocket.OPEN) {
        done(new Error("the WebSocket is closing"));
        return;
      }
      output.write(bytes, done);
    },
    final: (done) => {
      webSocket.once("close", () => done());
      webSocket.close(closeCode());
    },
    destroy: (error, done) => {
      output.drop();
      webSocket.terminate();
      done(error);
    },
  });
  webSocket.on("message", (data: Buffer, isBinary: boolean) => {
    if (isRefused) return;
    if (!isBinary) {
      isRefused = true;
      webSocket.close(UNSUPPORTED_DATA); // [MQTT-6.0.0-1]
    } else if (data.length > 0 && !stream.push(data)) {
      webSocket.pause();
    }
  });
  webSocket.on("ping", (data: Buffer) => {
    if (webSocket.bufferedAmount > WEB_SOCKET_PONG_BYTES_MAX) webSocket.terminate();
    else webSocket.pong(data);
  });
  webSocket.on("error", () => {}); // Malformed, or too large: ws closes it with the code for that.
  webSocket.on("close", () => {
    stream.push(null);
    if (stream.writableEnded) stream.once("finish", () => stream.destroy());
    else stream.destroy();
  });
  return stream;
}

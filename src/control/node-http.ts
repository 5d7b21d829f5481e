/**
 * The HTTP contract on node:http. Its one door: whatever Node's parser, timers and sockets do is turned into the contract here.
 *
 * ```
 *   connection ─► head ──► handler ─┬─► answer
 *        │ 10 s     │ 16 KiB        └─► body, counted as it comes ─► respond ─► answer ─► next head
 *        └ 408      └ 431                 413, 408                     500
 * ```
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { CodedError } from "../base/errors.ts";
import { HTTP_LINGER_BYTES_MAX, HTTP_LINGER_MS } from "../base/limits.ts";
import { errorResponse } from "./answers.ts";
import {
  type HttpAdmission,
  type HttpHead,
  type HttpResponse,
  type HttpServer,
  type HttpServerOptions,
  isAdmission,
} from "./http.ts";

/** Node looks for overdue requests this often. */
const DEADLINE_CHECK_MS = 250;

export function createNodeHttpServer({ handler, bounds, onFault }: HttpServerOptions): HttpServer {
  const underWay = new WeakMap<Socket, Set<ServerResponse>>();
  const sockets = new Set<Socket>();
  let bodiesBytes = 0;
  let closing: Promise<void> | undefined;

  const server = createServer({
    maxHeaderSize: bounds.headerBytesMax,
    headersTimeout: Math.min(bounds.headDeadlineMs, bounds.requestDeadlineMs),
    requestTimeout: bounds.requestDeadlineMs,
    keepAliveTimeout: bounds.keepAliveMs,
    connectionsCheckingInterval: Math.min(DEADLINE_CHECK_MS, bounds.headDeadlineMs),
    noDelay: true,
    insecureHTTPParser: false,
    requireHostHeader: true,
  });

  server.on("connection", (socket) => {
    if (sockets.size >= bounds.connectionsMax) makeRoomFor(socket);
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.on("clientError", (fault: NodeJS.ErrnoException, socket) => {
    const hasBegun = [...(underWay.get(socket as Socket) ?? [])].some((response) => response.headersSent);
    if (!socket.writable || hasBegun || fault.code === "ECONNRESET") socket.destroy();
    else refuseBadBytes(fault.code, socket as Socket);
  });
  server.on("request", (request, response) => serve(request, response, false));
  server.on("checkContinue", (request, response) => serve(request, response, true));
  server.on("checkExpectation", (request, response) => {
    refuse(request, response, errorResponse(new CodedError("EXPECTATION_FAILED", "Unknown expectation")));
  });

  /** Idle strangers keep nobody out: the oldest connection without a request goes, or else the new one. */
  function makeRoomFor(newcomer: Socket): void {
    for (const socket of sockets) {
      if (socket.destroyed || (underWay.get(socket)?.size ?? 0) > 0) continue;
      socket.destroy();
      return;
    }
    newcomer.destroy();
  }

  function serve(request: IncomingMessage, response: ServerResponse, wantsContinue: boolean): void {
    const { socket } = request;
    request.on("error", () => undefined); // The client went away; its response hears of it by "close".
    response.on("error", () => undefined);
    const responses = underWay.get(socket) ?? new Set();
    underWay.set(socket, responses.add(response));
    response.once("close", () => responses.delete(response));
    cutSlowReader(response);

    if (responses.size > bounds.pipelinedRequestsMax) {
      socket.destroy(); // No client that means well does this; what it asked before is under way.
      return;
    }
    let answer: HttpResponse | HttpAdmission;
    try {
      answer = handler(headOf(request));
    } catch (fault) {
      onFault(fault);
      answer = internalError();
    }
    if (!isAdmission(answer)) {
      refuse(request, response, answer);
      return;
    }
    if (Number(request.headers["content-length"] ?? 0) > answer.bodyBytesMax) {
      refuse(request, response, tooLarge(answer.bodyBytesMax));
      return;
    }
    if (wantsContinue) response.writeContinue();
    receive(request, response, answer);
  }

  /** Collects the body, then answers. */
  function receive(request: IncomingMessage, response: ServerResponse, admission: HttpAdmission): void {
    const pieces: Buffer[] = [];
    let bytes = 0;
    const release = (): void => {
      bodiesBytes -= bytes;
      bytes = 0;
      pieces.length = 0;
    };
    const giveUp = (answer: HttpResponse): void => {
      request.off("data", onData);
      request.off("end", onEnd);
      refuse(request, response, answer);
    };
    const onData = (piece: Buffer): void => {
      bytes += piece.length;
      bodiesBytes += piece.length;
      pieces.push(piece);
      if (bytes > admission.bodyBytesMax) giveUp(tooLarge(admission.bodyBytesMax));
      else if (bodiesBytes > bounds.bodiesBytesMax) giveUp(busy());
    };
    const onEnd = (): void => {
      const body = Buffer.concat(pieces, bytes);
      pieces.length = 0;
      admission.respond(body).then(
        (answer) => send(response, answer),
        (fault) => {
          onFault(fault);
          send(response, internalError());
        },
      );
    };
    response.once("close", release);
    request.on("data", onData);
    request.once("end", onEnd);
  }

  /** Answers before the body is read, reads on for a moment so that the client sees the answer, and ends the connection. */
  function refuse(request: IncomingMessage, response: ServerResponse, answer: HttpResponse): void {
    if (request.complete || !hasBody(request)) {
      request.resume();
      send(response, answer);
      return;
    }
    writeHead(response, answer, true);
    response.write(answer.body);
    const finish = (): void => {
      clearTimeout(timer);
      response.end(() => request.socket.destroySoon());
    };
    const timer = setTimeout(finish, HTTP_LINGER_MS);
    let lingeringBytes = 0;
    request.on("data", (piece: Buffer) => {
      lingeringBytes += piece.length;
      if (lingeringBytes > HTTP_LINGER_BYTES_MAX) {
        request.pause();
        finish();
      }
    });
    request.once("end", finish);
    request.once("close", () => clearTimeout(timer));
  }

  function send(response: ServerResponse, answer: HttpResponse): void {
    if (response.headersSent || response.destroyed) return;
    writeHead(response, answer, closing !== undefined);
    response.end(answer.body);
  }

  function writeHead(response: ServerResponse, answer: HttpResponse, isLast: boolean): void {
    response.writeHead(answer.status, {
      ...answer.headers,
      ...(answer.status === 204 ? {} : { "Content-Length": Buffer.byteLength(answer.body) }),
      ...(isLast ? { Connection: "close" } : {}),
    });
  }

  function cutSlowReader(response: ServerResponse): void {
    let timer: NodeJS.Timeout | undefined;
    response.once("prefinish", () => {
      timer = setTimeout(() => response.destroy(), bounds.responseDeadlineMs);
    });
    response.once("close", () => clearTimeout(timer));
  }

  return {
    listen: (host, port) => listen(server, host, port),
    close(graceMs) {
      closing ??= close(server, sockets, graceMs);
      return closing;
    },
  };
}

function headOf(request: IncomingMessage): HttpHead {
  const target = (request.url ?? "/").replace(/^https?:\/\/[^/?]*/i, "");
  const mark = target.indexOf("?");
  const path = mark < 0 ? target : target.slice(0, mark);
  const headers = new Map<string, string>();
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers.set(name, typeof value === "string" ? value : value.join(", "));
  }
  return {
    method: request.method === "HEAD" ? "GET" : (request.method ?? "GET"),
    path: path === "" ? "/" : path,
    query: mark < 0 ? "" : target.slice(mark + 1),
    headers,
  };
}

function hasBody(request: IncomingMessage): boolean {
  return request.headers["transfer-encoding"] !== undefined || Number(request.headers["content-length"] ?? 0) > 0;
}

/** Bytes that are no request, or did not become one in time: there is no response object, only the socket. */
function refuseBadBytes(code: string | undefined, socket: Socket): void {
  const answer = errorResponse(errorOfBadBytes(code));
  const lines = Object.entries({
    ...answer.headers,
    "Content-Length": Buffer.byteLength(answer.body),
    Connection: "close",
  });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  socket.end(`HTTP/1.1 ${answer.status} ${STATUS_WORDS[answer.status] ?? ""}\r\n${head}\r\n${answer.body}`);
  const timer = setTimeout(() => socket.destroy(), HTTP_LINGER_MS);
  socket.once("close", () => clearTimeout(timer));
}

const STATUS_WORDS: Readonly<Record<number, string>> = {
  400: "Bad Request",
  408: "Request Timeout",
  431: "Request Header Fields Too Large",
};

function errorOfBadBytes(code: string | undefined): CodedError {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return new CodedError("REQUEST_TIMEOUT", "The request took too long");
  if (code === "HPE_HEADER_OVERFLOW") return new CodedError("REQUEST_HEADERS_TOO_LARGE", "The headers are too large");
  return new CodedError("BAD_REQUEST", "This is not an HTTP request");
}

const tooLarge = (bytesMax: number): HttpResponse =>
  errorResponse(new CodedError("PAYLOAD_TOO_LARGE", `The body is larger than ${bytesMax} bytes`));
const busy = (): HttpResponse => errorResponse(new CodedError("SERVICE_UNAVAILABLE", "Too many requests at a time"));
const internalError = (): HttpResponse => errorResponse(new CodedError("INTERNAL_ERROR", "Internal error"));

function listen(server: Server, host: string, port: number): Promise<{ host: string; port: number }> {
  return new Promise((resolve, reject) => {
    const onError = (fault: NodeJS.ErrnoException): void => {
      reject(new CodedError("LISTEN_FAILED", `HTTP cannot listen on ${host}:${port}: ${fault.code}`, fault));
    };
    server.once("error", onError);
    server.listen(port, host, () => {
      server.off("error", onError);
      const { address, port: actual } = server.address() as AddressInfo;
      resolve({ host: address, port: actual });
    });
  });
}

function close(server: Server, sockets: ReadonlySet<Socket>, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => {
      for (const socket of sockets) socket.destroy();
    }, graceMs);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
    server.closeIdleConnections();
  });
}

/**
 * The HTTP contract: what the REST API needs of an HTTP server, and no more. node:http implements it now; another
 * server may later. One contract suite (test/control/http-contract.ts) runs on every implementation.
 *
 * ```
 *   head complete ─► handler(head) ─┬─► response: sent at once, the body is not read
 *                                   └─► admission: the body is read, up to its bound ─► respond(body) ─► response
 * ```
 * The decision falls before the body: a stranger's body takes no memory.
 */

/** A request without its body. */
export interface HttpHead {
  /** Upper case. HEAD reaches the handler as GET; the implementation leaves the body out. */
  readonly method: string;
  /** As sent, percent-encoded, begins with "/", without the query. */
  readonly path: string;
  /** As sent, without the "?"; "" when there is none. */
  readonly query: string;
  /** Names in lower case. Repeated headers are joined by ", ", except those that HTTP defines once: there the first counts. */
  readonly headers: ReadonlyMap<string, string>;
}

export interface HttpResponse {
  readonly status: number;
  /** Content-Length, Date and Connection are the implementation's. */
  readonly headers: Readonly<Record<string, string>>;
  /** "" = no body. */
  readonly body: string;
}

/** Leave to send a body. */
export interface HttpAdmission {
  /** A longer body is answered 413 as soon as that is known. */
  readonly bodyBytesMax: number;
  /** Called once with the whole body (empty when there is none). A rejection is answered 500 and reported to `onFault`. */
  respond(body: Buffer): Promise<HttpResponse>;
}

/** Called once per request, as soon as its head is complete. A throw is answered 500 and reported to `onFault`. */
export type HttpHandler = (head: HttpHead) => HttpResponse | HttpAdmission;

export const isAdmission = (answer: HttpResponse | HttpAdmission): answer is HttpAdmission => "respond" in answer;

/** Every bound of a listener; the defaults are in src/base/limits.ts. */
export interface HttpBounds {
  /** Beyond it the oldest connection without a request makes room; when all have one, the new one is closed. */
  readonly connectionsMax: number;
  readonly headerBytesMax: number;
  /** From the connection, or the end of the request before, to the end of the head. */
  readonly headDeadlineMs: number;
  /** From the first byte to the last of a whole request. */
  readonly requestDeadlineMs: number;
  /** For the client to take a whole response. */
  readonly responseDeadlineMs: number;
  readonly keepAliveMs: number;
  /** Requests under way on one connection (pipelining). */
  readonly pipelinedRequestsMax: number;
  /** Bodies being received, all connections together; beyond it 503. */
  readonly bodiesBytesMax: number;
}

export interface HttpServerOptions {
  readonly handler: HttpHandler;
  readonly bounds: HttpBounds;
  /** Hears of faults of the handler: bugs, as the handler answers every expected failure itself. */
  readonly onFault: (fault: unknown) => void;
}

export interface HttpAddress {
  readonly host: string;
  readonly port: number;
}

export interface HttpServer {
  /** Port 0 picks a free one. Rejects with `LISTEN_FAILED`. */
  listen(host: string, port: number): Promise<HttpAddress>;
  /** Accepts nothing more, lets running requests end for `graceMs`, then cuts them. Idempotent. */
  close(graceMs: number): Promise<void>;
}

/**
 * The one way from a request to its answer. The order is EMQX's, and nothing goes round it:
 *
 * ```
 *   path 404 ─► method 405 ─► authentication 401 ─► role, scope 403 ─┤head├─ body 413, 415, 400 ─► schema 400 ─► ready 503 ─► handler
 * ```
 */
import { isUtf8 } from "node:buffer";
import { CodedError } from "../base/errors.ts";
import { errorResponse, textResponse } from "./answers.ts";
import type { ApiKeys, Caller } from "./api-keys.ts";
import { authenticate, authorise } from "./authentication.ts";
import type { HttpHandler, HttpHead, HttpResponse } from "./http.ts";
import type { ControlLog } from "./log.ts";
import type { Route, RouteTable } from "./route.ts";

export interface PipelineOptions {
  readonly routes: RouteTable;
  readonly apiKeys: ApiKeys;
  readonly isReady: () => boolean;
  readonly answerDeadlineMs: number;
  readonly log: ControlLog;
}

export function createPipeline({ routes, apiKeys, isReady, answerDeadlineMs, log }: PipelineOptions): HttpHandler {
  return (head) => {
    try {
      const match = routes.match(head.method, head.path);
      if (match.kind === "unknownPath") return unknownPath(head);
      if (match.kind === "wrongMethod") return wrongMethod(match.allow);
      const { route, params } = match;
      let caller: Caller | undefined;
      if (route.access !== "public") {
        caller = authenticate(head.headers.get("authorization"), apiKeys);
        authorise(caller, route.access);
      }
      return {
        bodyBytesMax: route.bodyBytesMax,
        respond: async (body) => {
          try {
            const response = await answer(head, route, params, body);
            if (route.method !== "GET") audit(head, caller, response.status);
            return response;
          } catch (fault) {
            return refuse(head, caller, fault);
          }
        },
      };
    } catch (fault) {
      return refuse(head, undefined, fault);
    }
  };

  async function answer(
    head: HttpHead,
    route: Route,
    params: ReadonlyMap<string, string>,
    body: Buffer,
  ): Promise<HttpResponse> {
    const json = route.readsBody ? parseBody(body, head.headers.get("content-type")) : undefined;
    const run = route.prepare({ params, query: new URLSearchParams(head.query), body: json });
    if (route.needsReady && !isReady()) throw new CodedError("SERVICE_UNAVAILABLE", "Not ready");
    return withDeadline(Promise.resolve(run()), answerDeadlineMs);
  }

  /** Expected failures become answers; anything else is a bug and goes on up. */
  function refuse(head: HttpHead, caller: Caller | undefined, fault: unknown): HttpResponse {
    if (!(fault instanceof CodedError)) throw fault;
    const response = errorResponse(fault);
    if (response.status >= 500) {
      const { code, message } = fault;
      log.warn({ method: head.method, path: head.path, caller: caller?.name, code, detail: message }, "request failed");
    }
    return response;
  }

  /** Who changed what; never a header, a query or a body. */
  function audit(head: HttpHead, caller: Caller | undefined, status: number): void {
    if (head.path.endsWith("/publish") || head.path.endsWith("/bulk")) return; // Data, not administration.
    log.info({ method: head.method, path: head.path, caller: caller?.name, status }, "request");
  }
}

function unknownPath(head: HttpHead): HttpResponse {
  const accepted = head.headers.get("accept") ?? "*/*";
  if (!/json|\*\/\*|application\/\*/i.test(accepted)) return textResponse(404, "Request Path Not Found");
  return errorResponse(new CodedError("NOT_FOUND", "Request Path Not Found"));
}

function wrongMethod(allow: string): HttpResponse {
  const response = errorResponse(new CodedError("METHOD_NOT_ALLOWED", "This path does not have this method"));
  return { ...response, headers: { ...response.headers, Allow: allow } };
}

/** The JSON value of a body; undefined for none. A repeated or strange key stays a plain key: no prototype is touched. */
function parseBody(body: Buffer, contentType: string | undefined): unknown {
  if (body.length === 0) return undefined;
  if (contentType?.split(";")[0]?.trim().toLowerCase() !== "application/json") {
    throw new CodedError("UNSUPPORTED_MEDIA_TYPE", "Content-Type: application/json is required");
  }
  if (!isUtf8(body)) throw new CodedError("BAD_REQUEST", "The body is not valid UTF-8");
  try {
    return JSON.parse(body.toString("utf8"));
  } catch (cause) {
    throw new CodedError("BAD_REQUEST", "The body is not valid JSON", cause);
  }
}

/** What was begun goes on behind a deadline; only the client stops waiting for it. */
async function withDeadline<T>(answer: Promise<T>, deadlineMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new CodedError("SERVICE_UNAVAILABLE", "No answer in time; the request may still take effect"));
    }, deadlineMs);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

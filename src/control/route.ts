/**
 * Routes: what a path answers, and who may ask. A path is found by its pattern first, then by its method, so that a
 * wrong method is 405 and not 404; a literal segment wins over a name (`/queues/config` over `/queues/:name`).
 */
import { CodedError } from "../base/errors.ts";
import type { ApiRole, ApiScope } from "./api-keys.ts";
import type { HttpResponse } from "./http.ts";

export type Method = "GET" | "POST" | "PUT" | "DELETE";

/** Nothing is open by default: a route names its roles and its scope, or says that it is public. */
export type Access = "public" | { readonly roles: readonly ApiRole[]; readonly scope: ApiScope };

/** A request as a route sees it. */
export interface RestCall {
  /** What stands for `:name` in the pattern, decoded. */
  readonly params: ReadonlyMap<string, string>;
  readonly query: URLSearchParams;
  /** The parsed JSON; undefined when there was no body. */
  readonly body: unknown;
}

export interface Route {
  readonly method: Method;
  /** Begins with "/"; a segment `:name` stands for any one segment. */
  readonly pattern: string;
  readonly access: Access;
  /** Whether a body is read as JSON; otherwise a small one is tolerated and ignored. */
  readonly readsBody: boolean;
  readonly bodyBytesMax: number;
  /** Answered 503 until the broker is ready. */
  readonly needsReady: boolean;
  /** Checks the request (throws 400) and returns what to do once the broker is known to be ready. */
  prepare(call: RestCall): () => HttpResponse | Promise<HttpResponse>;
}

export const READERS: readonly ApiRole[] = ["administrator", "viewer"];
export const WRITERS: readonly ApiRole[] = ["administrator"];
export const PUBLISHERS: readonly ApiRole[] = ["administrator", "publisher"];

export type Match =
  | { readonly kind: "found"; readonly route: Route; readonly params: ReadonlyMap<string, string> }
  | { readonly kind: "wrongMethod"; readonly allow: string }
  | { readonly kind: "unknownPath" };

interface PathEntry {
  readonly segments: readonly string[];
  readonly literals: number;
  readonly byMethod: Map<string, Route>;
}

export class RouteTable {
  readonly routes: readonly Route[];
  readonly #paths: readonly PathEntry[];

  constructor(routes: readonly Route[]) {
    this.routes = routes;
    const byPattern = new Map<string, PathEntry>();
    for (const route of routes) {
      const segments = route.pattern.split("/").slice(1);
      const literals = segments.filter((segment) => !segment.startsWith(":")).length;
      const entry = byPattern.get(route.pattern) ?? { segments, literals, byMethod: new Map() };
      entry.byMethod.set(route.method, route);
      byPattern.set(route.pattern, entry);
    }
    this.#paths = [...byPattern.values()].sort((one, other) => other.literals - one.literals);
  }

  /** `path` is percent-encoded. Throws 400 when a name in it is not decodable. */
  match(method: string, path: string): Match {
    const segments = path.split("/").slice(1);
    const entry = this.#paths.find((candidate) => isFitting(candidate.segments, segments));
    if (entry === undefined) return { kind: "unknownPath" };
    const route = entry.byMethod.get(method);
    if (route === undefined) {
      const methods = [...entry.byMethod.keys()];
      return { kind: "wrongMethod", allow: (methods.includes("GET") ? [...methods, "HEAD"] : methods).join(", ") };
    }
    const params = new Map<string, string>();
    for (const [index, segment] of entry.segments.entries()) {
      if (segment.startsWith(":")) params.set(segment.slice(1), decode(segments[index]!));
    }
    return { kind: "found", route, params };
  }
}

function isFitting(pattern: readonly string[], segments: readonly string[]): boolean {
  if (pattern.length !== segments.length) return false;
  return pattern.every((wanted, index) =>
    wanted.startsWith(":") ? segments[index] !== "" : wanted === segments[index],
  );
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch (cause) {
    throw new CodedError("BAD_REQUEST", "The path is not valid percent-encoding", cause);
  }
}

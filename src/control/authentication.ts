/** The first gate of a request: who calls (401), and whether this caller may (403). Every route is closed unless it says otherwise. */
import { CodedError } from "../base/errors.ts";
import type { ApiKeys, Caller } from "./api-keys.ts";
import type { Access } from "./route.ts";

const BASIC = /^basic +([a-z0-9+/_-]+={0,2}) *$/i;
const BEARER = /^bearer +\S+ *$/i;

/** The caller that an Authorization header names. Throws one of the three 401. */
export function authenticate(authorization: string | undefined, keys: ApiKeys): Caller {
  if (authorization !== undefined && BEARER.test(authorization)) throw new CodedError("BAD_TOKEN", "Unknown token");
  const credentials = BASIC.exec(authorization ?? "")?.[1];
  if (credentials === undefined) {
    throw new CodedError("AUTHORIZATION_HEADER_ERROR", "Basic authentication with an API key is required");
  }
  const text = Buffer.from(credentials, "base64").toString("utf8");
  const colon = text.indexOf(":");
  const caller = keys.callerOf(colon < 0 ? text : text.slice(0, colon), colon < 0 ? "" : text.slice(colon + 1));
  if (caller === undefined) throw new CodedError("BAD_API_KEY_OR_SECRET", "Check api_key/api_secret");
  return caller;
}

/** Throws 403 unless both the role and the scopes of the caller cover the route. */
export function authorise(caller: Caller, access: Exclude<Access, "public">): void {
  if (!access.roles.includes(caller.role)) {
    throw new CodedError("UNAUTHORIZED_ROLE", `The role ${caller.role} may not do this`);
  }
  if (caller.scopes !== "all" && !caller.scopes.has(access.scope)) {
    throw new CodedError("UNAUTHORIZED_ROLE", `This needs the scope ${access.scope}`);
  }
}

/** The responses of the REST API: JSON, text, nothing, and coded errors. */
import type { CodedError } from "../base/errors.ts";
import type { HttpResponse } from "./http.ts";

/** No cache keeps an answer, no browser guesses its type. */
const ALWAYS = { "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" } as const;
/** Goes with every 503, as EMQX. */
export const RETRY_LATER: Readonly<Record<string, string>> = { "Retry-After": "15" };

export function jsonResponse(
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): HttpResponse {
  return {
    status,
    headers: { "Content-Type": "application/json", ...ALWAYS, ...headers },
    body: JSON.stringify(value),
  };
}

export function textResponse(
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): HttpResponse {
  return { status, headers: { "Content-Type": "text/plain; charset=utf-8", ...ALWAYS, ...headers }, body: text };
}

export const noContent = (): HttpResponse => ({ status: 204, headers: ALWAYS, body: "" });

/** `{"code","message"}`, with the status of the table, and the headers that the status asks for. */
export function errorResponse(error: CodedError): HttpResponse {
  const status = error.httpStatus ?? 500;
  return jsonResponse(status, { code: error.code, message: error.message }, headersOf(status));
}

function headersOf(status: number): Readonly<Record<string, string>> {
  if (status === 401) return { "WWW-Authenticate": 'Basic Realm="emqx-dashboard"' };
  if (status === 503) return RETRY_LATER;
  return {};
}

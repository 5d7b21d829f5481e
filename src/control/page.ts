/**
 * Pages of a list: `?cursor=&limit=` in, `{"data","meta":{"hasnext","cursor"}}` out. A cursor says behind which item the next
 * page begins, so that a list that changes meanwhile neither repeats nor skips what stays in it.
 */
import { CodedError } from "../base/errors.ts";
import { REST_PAGE_ITEMS_DEFAULT, REST_PAGE_ITEMS_MAX } from "../base/limits.ts";

/** The parts of an item that order the list. */
export type CursorKey = readonly string[];

export interface PageRequest {
  readonly limit: number;
  readonly after: CursorKey | undefined;
}

/** Throws 400 for a limit outside 1 to 10,000 and for a cursor that no answer gave. */
export function pageRequestOf(query: URLSearchParams, keyParts: number): PageRequest {
  const limit = query.get("limit");
  const cursor = query.get("cursor");
  return {
    limit: limit === null ? REST_PAGE_ITEMS_DEFAULT : limitOf(limit),
    after: cursor === null ? undefined : keyOf(cursor, keyParts),
  };
}

/** `found` holds up to one item more than the limit: that one says whether there is a next page. */
export function pageOf<T>(found: readonly T[], limit: number, cursorKey: (item: T) => CursorKey): object {
  const data = found.slice(0, limit);
  const last = data.at(-1);
  const meta =
    found.length > limit && last !== undefined
      ? { hasnext: true, cursor: cursorOf(cursorKey(last)) }
      : { hasnext: false };
  return { data, meta };
}

function limitOf(text: string): number {
  const limit = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= REST_PAGE_ITEMS_MAX) return limit;
  throw new CodedError("BAD_REQUEST", `limit: expected an integer from 1 to ${REST_PAGE_ITEMS_MAX}`);
}

export function cursorOf(key: CursorKey): string {
  return Buffer.from(JSON.stringify(key), "utf8").toString("base64url");
}

function keyOf(cursor: string, keyParts: number): CursorKey {
  const key = parseKey(cursor);
  const isKey = Array.isArray(key) && key.length === keyParts && key.every((part) => typeof part === "string");
  if (!isKey || cursorOf(key) !== cursor) throw new CodedError("BAD_REQUEST", "Invalid cursor");
  return key;
}

function parseKey(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"));
  } catch {
    return undefined;
  }
}

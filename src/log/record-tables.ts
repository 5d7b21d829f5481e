/**
 * The record tables: keyed values that commit with the batch that gathers.
 *
 * ```
 *   stored value
 *   0  u32  checksum   CRC-32 of all that follows and of the LMDB key; until store format 1 without the key
 *   4  u32  keyBytes   0, or the length of the key that follows, when the LMDB key is only its hash
 *   8       key · value
 * ```
 */
import { assert } from "../base/assert.ts";
import { checksumOf } from "./checksum.ts";
import type { Table } from "./contract.ts";
import type { DamageReport } from "./damage-report.ts";
import { type Changes, type Environment, keyOf } from "./environment.ts";

const VALUE_HEADER_BYTES = 8;

/** The puts and removals of one batch; the last of a key counts. */
export class TableChanges {
  readonly #tables = new Map<Table, Map<string, Buffer | undefined>>();

  get isEmpty(): boolean {
    return this.#tables.size === 0;
  }

  get keys(): number {
    let keys = 0;
    for (const values of this.#tables.values()) keys += values.size;
    return keys;
  }

  /** Pages of all values together, as `pagesOf` says for one of so many bytes. */
  pages(pagesOf: (bytes: number) => number): number {
    let pages = 0;
    for (const values of this.#tables.values())
      for (const value of values.values()) pages += pagesOf(value?.length ?? 0);
    return pages;
  }

  set(table: Table, key: string, value: Uint8Array | undefined): void {
    assert(key.length > 0, "a key is not empty");
    let values = this.#tables.get(table);
    if (values === undefined) {
      values = new Map();
      this.#tables.set(table, values);
    }
    values.set(key, value === undefined ? undefined : encode(key, value));
  }

  write(changes: Changes): void {
    for (const [table, values] of this.#tables) {
      for (const [key, value] of values) {
        const { bytes } = keyOf(key);
        if (value === undefined) changes.remove(table, bytes);
        else changes.put(table, bytes, value);
      }
    }
  }
}

/** Visits a table as of the last commit, in order of key; very long keys in the order of their beginning. */
export function visitTable(
  environment: Environment,
  table: Table,
  damage: DamageReport,
  visit: (key: string, value: Buffer) => void,
): void {
  for (const { key, value } of environment.scan(table)) {
    const text = key.toString("utf8", 1);
    if (!isSoundTableValue(key, value)) {
      const name = `${table}/${text}`;
      damage.add({ what: "table", batch: 0, key: name, records: 0, reason: "checksum does not match" }, value);
      continue;
    }
    const keyBytes = value.readUInt32LE(4);
    const start = VALUE_HEADER_BYTES + keyBytes;
    visit(keyBytes === 0 ? text : value.toString("utf8", VALUE_HEADER_BYTES, start), value.subarray(start));
  }
}

/** Whether a stored value is what was written. */
export function isSoundTableValue(key: Buffer, value: Buffer): boolean {
  if (value.length < VALUE_HEADER_BYTES || value.length < VALUE_HEADER_BYTES + value.readUInt32LE(4)) return false;
  const checksum = value.readUInt32LE(0);
  const ofValue = checksumOf(value.subarray(4));
  return checksum === checksumOf(key, ofValue) || checksum === ofValue;
}

function encode(key: string, value: Uint8Array): Buffer {
  const { bytes, isHashed } = keyOf(key);
  const repeated = isHashed ? Buffer.from(key) : EMPTY;
  const stored = Buffer.allocUnsafe(VALUE_HEADER_BYTES + repeated.length + value.length);
  stored.writeUInt32LE(repeated.length, 4);
  stored.set(repeated, VALUE_HEADER_BYTES);
  stored.set(value, VALUE_HEADER_BYTES + repeated.length);
  stored.writeUInt32LE(checksumOf(bytes, checksumOf(stored.subarray(4))), 0);
  return stored;
}

const EMPTY = Buffer.alloc(0);

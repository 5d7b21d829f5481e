/**
 * What an environment says about itself, in its `log` store.
 *
 * ```
 *   key "format"    JSON {"format": version of the whole layout, "partition": number}
 *   key "ceiling"   f64: no batch number up to this may be given again
 * ```
 *
 * To change the layout: 1. raise `STORE_FORMAT`; 2. migrate or keep reading the older one here; 3. add a migration test.
 */
import type { Changes, Environment } from "./environment.ts";
import { StoreFault } from "./store-fault.ts";

/** 2: checksums of settled bits and keyed values cover the key; those of format 1 are read as well. 3: merged batches. */
export const STORE_FORMAT = 3;
export const CEILING_KEY = Buffer.from("ceiling");
const FORMAT_KEY = Buffer.from("format");

/** The line for a store that a newer version has written. */
export function newerStore(where: string, format: number): StoreFault {
  return new StoreFault(
    "store_newer",
    `the store in ${where} has format ${format}, this version reads up to ${STORE_FORMAT}`,
    "start the newer version again, or restore a backup from before it",
  );
}

/** Refuses an environment of a newer version or another partition; `undefined` until something is stored in it. */
export function checkFormat(environment: Environment, directory: string, partition: number): void {
  const stored = environment.get("log", FORMAT_KEY);
  if (stored === undefined) return;
  const { format, partition: owner } = JSON.parse(stored.toString()) as { format: number; partition: number };
  if (format > STORE_FORMAT) throw newerStore(directory, format);
  if (owner === partition) return;
  const message = `the store in ${directory} belongs to partition ${owner}, not ${partition}`;
  throw new StoreFault("store_damaged", message, "the directories of a store cannot be exchanged; restore their names");
}

/** The format of what is stored; that of this version when nothing is. */
export function storedFormatOf(environment: Environment): number {
  const stored = environment.get("log", FORMAT_KEY);
  return stored === undefined ? STORE_FORMAT : (JSON.parse(stored.toString()) as { format: number }).format;
}

/** The value of "format", written with the first commit, and with the first after an older version. */
export function formatChange(partition: number): { readonly key: Buffer; readonly value: Buffer } {
  return { key: FORMAT_KEY, value: Buffer.from(JSON.stringify({ format: STORE_FORMAT, partition })) };
}

/** Puts "format" once more, as it is stored: a change that changes nothing. */
export function repeatFormat(environment: Environment, changes: Changes, partition: number): void {
  const { key, value } = formatChange(partition);
  changes.put("log", key, environment.get("log", key) ?? value);
}

/** The highest batch number that may have been given; 0 in a new store. */
export function ceilingOf(environment: Environment): number {
  return environment.get("log", CEILING_KEY)?.readDoubleLE(0) ?? 0;
}

export function encodeCeiling(batch: number): Buffer {
  const value = Buffer.alloc(8);
  value.writeDoubleLE(batch);
  return value;
}

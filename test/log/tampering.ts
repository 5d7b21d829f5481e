/** Damage on purpose: stored values changed behind the log's back. */
import { open } from "lmdb";

/** Changes stored values with a handle of its own while the log is closed; how many there were. */
export async function tamper(
  directory: string,
  store: string,
  change: (value: Buffer, place: number) => Buffer | undefined,
): Promise<number> {
  const root = open({ path: directory, noSubdir: false, maxDbs: 32, overlappingSync: false });
  const database = root.openDB<Buffer, Buffer>(store, { encoding: "binary", keyEncoding: "binary" });
  const all = [...database.getRange({ start: Buffer.alloc(1) })].map(({ key, value }) => ({
    key: Buffer.from(key),
    value: Buffer.from(value),
  }));
  for (const [at, { key, value }] of all.entries()) {
    const changed = change(value, at);
    if (changed === undefined) await database.remove(key);
    else await database.put(key, changed);
  }
  await root.close();
  return all.length;
}

/** Flips one bit of the byte at `at`, counted round the value. */
export const flip = (value: Buffer, at: number): Buffer => {
  value[at % value.length]! ^= 0x10;
  return value;
};

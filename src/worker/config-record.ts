/**
 * What PUT has changed of the queues' configuration, as it lies in the store: partition 0, table "meta", key "queues_config".
 *
 * These bytes outlive the process. To change them: 1. raise `VERSION`; 2. read the old form in `readConfigChanges`; 3. add a test
 * with a value of the old form.
 */
import { decodeStructured, encodeStructured } from "../base/structured.ts";
import type { PartitionLog } from "../log/contract.ts";
import type { ConfigChanges } from "./commands.ts";

export const CONFIG_KEY = "queues_config";
const VERSION = 1;

interface ConfigRecord {
  readonly version: number;
  readonly changes: ConfigChanges;
}

export const encodeConfigChanges = (changes: ConfigChanges): Buffer =>
  encodeStructured({ version: VERSION, changes } satisfies ConfigRecord);

/** None in a new store. */
export function readConfigChanges(log: PartitionLog): ConfigChanges {
  let found: ConfigChanges = {};
  log.entries("meta", (key, bytes) => {
    if (key === CONFIG_KEY) found = decodeStructured<ConfigRecord>(bytes).changes;
  });
  return found;
}

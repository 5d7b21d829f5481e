/** The files that say who may do what: read whole and checked whole, or not at all. */
import { isUtf8 } from "node:buffer";
import { readFileSync } from "node:fs";
import { type PasswordEntry, parsePasswordFile } from "../access/password-file.ts";
import type { Rules } from "../access/rules.ts";
import { readRules } from "../access/rules-reader.ts";
import { CodedError } from "../base/errors.ts";
import { ACCESS_FILE_BYTES_MAX } from "../base/limits.ts";
import { readYaml } from "./file.ts";
import type { Settings } from "./settings.ts";

export interface AccessFiles {
  /** By name; undefined without a password file. */
  readonly users: ReadonlyMap<string, PasswordEntry> | undefined;
  /** Undefined without a file of rules: everybody may do everything. */
  readonly rules: Rules | undefined;
}

/** Reads what the settings name. Throws ACCESS_INVALID with the file, the line and the fault. */
export function loadAccessFiles({ access }: Pick<Settings, "access">): AccessFiles {
  const { password_file: passwordFile, rules_file: rulesFile } = access;
  const users = passwordFile === null ? undefined : parsePasswordFile(readPasswordFile(passwordFile), passwordFile);
  const rules = rulesFile === null ? undefined : rulesOf(rulesFile, textOf(rulesFile, "the file of access rules"));
  return { users, rules };
}

/** The rules of a text. */
export function rulesOf(name: string, text: string): Rules {
  const { written, placeOf } = readYaml(name, text, invalid);
  const outcome = readRules(written);
  if (outcome.fault === undefined) return outcome.rules;
  throw invalid(`${placeOf(outcome.fault.path)}: ${outcome.fault.problem}`);
}

const invalid = (line: string, cause?: unknown): CodedError =>
  new CodedError("ACCESS_INVALID", line.replaceAll(/\s*\n\s*/g, " "), cause);

/** The text of a password file. */
export const readPasswordFile = (file: string): string => textOf(file, "the password file");

function textOf(file: string, noun: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CodedError("ACCESS_INVALID", `cannot read ${noun} ${file}: ${code}`, error);
  }
  if (bytes.length > ACCESS_FILE_BYTES_MAX) throw new CodedError("ACCESS_INVALID", `${file}: too large for ${noun}`);
  if (!isUtf8(bytes)) throw new CodedError("ACCESS_INVALID", `${file}:${firstLineOtherThanUtf8(bytes)}: not UTF-8`);
  return bytes.toString("utf8");
}

/** A name whose bytes mean something else would be nobody's, also in a rule that denies. */
function firstLineOtherThanUtf8(bytes: Buffer): number {
  let line = 1;
  for (let start = 0; ; line += 1) {
    const end = bytes.indexOf("\n", start);
    if (end < 0 || !isUtf8(bytes.subarray(start, end))) return line;
    start = end + 1;
  }
}

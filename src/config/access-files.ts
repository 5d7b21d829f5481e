/** The files that say who may do what: read whole and checked whole, or not at all. */
import { readFileSync } from "node:fs";
import { type PasswordEntry, parsePasswordFile } from "../access/password-file.ts";
import { CodedError } from "../base/errors.ts";
import { PASSWORD_FILE_BYTES_MAX } from "../base/limits.ts";
import type { Settings } from "./settings.ts";

export interface AccessFiles {
  /** By name; undefined without a password file. */
  readonly users: ReadonlyMap<string, PasswordEntry> | undefined;
}

/** Reads what the settings name. Throws ACCESS_INVALID with the file, the line and the fault. */
export function loadAccessFiles({ access }: Pick<Settings, "access">): AccessFiles {
  const { password_file: passwordFile } = access;
  const users = passwordFile === null ? undefined : parsePasswordFile(readPasswordFile(passwordFile), passwordFile);
  return { users };
}

/** The text of a password file. */
export const readPasswordFile = (file: string): string => textOf(file, PASSWORD_FILE_BYTES_MAX, "the password file");

function textOf(file: string, bytesMax: number, noun: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CodedError("ACCESS_INVALID", `cannot read ${noun} ${file}: ${code}`, error);
  }
  if (bytes.length > bytesMax) throw new CodedError("ACCESS_INVALID", `${file}: too large for ${noun}`);
  return bytes.toString("utf8");
}

/**
 * `restante passwd`: the users of a password file. The file is replaced whole, by one that only its owner may read; a running broker goes on
 * with what it has read until it is told to read it again.
 */
import { existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { CREDENTIAL_BYTES_MAX } from "../access/authentication.ts";
import { parsePasswordFile, userNameFaultOf, withUser } from "../access/password-file.ts";
import { CodedError } from "../base/errors.ts";
import { readPasswordFile } from "../config/access-files.ts";
import { hashPassword } from "../pool/scrypt.ts";
import { EXIT_REFUSED, printRefusal } from "./refusal.ts";

/** Sets a password; asks for it unless `isPiped`. Answers the exit code. */
export async function setPassword(file: string, user: string, isPiped: boolean): Promise<number> {
  const nameFault = userNameFaultOf(user);
  if (nameFault !== undefined) return refused(nameFault);
  const before = textOf(file);
  const password = isPiped ? await pipedPassword() : await askedPassword();
  if (password === undefined) return refused("the two passwords differ; nothing was changed");
  if (password === "") return refused("a password is not empty; nothing was changed");
  const bytes = Buffer.from(password);
  if (bytes.length > CREDENTIAL_BYTES_MAX) return refused(`a password has at most ${CREDENTIAL_BYTES_MAX} bytes`);
  replace(file, withUser(before, user, hashPassword(bytes)));
  return 0;
}

/** Deletes a user. Answers the exit code. */
export function deleteUser(file: string, user: string): number {
  const before = textOf(file);
  const after = withUser(before, user, undefined);
  if (!(before === "" ? new Map() : parsePasswordFile(before, file)).has(user)) return refused(`${file}: no such user`);
  replace(file, after);
  if (!hasUser(after)) printRefusal(`${file} holds no user now; a broker does not start with it`);
  return 0;
}

/** The file's text, checked; empty when there is no file, or nothing in it. */
function textOf(file: string): string {
  if (!existsSync(file)) return "";
  const before = readPasswordFile(file);
  if (hasUser(before)) parsePasswordFile(before, file);
  return before;
}

const hasUser = (before: string): boolean => /^[^#\s]/m.test(before);

/** Complete or not at all: written under another name, synced, then renamed. */
function replace(file: string, content: string): void {
  const draft = `${file}.new`;
  try {
    rmSync(draft, { force: true });
    writeFileSync(draft, content, { mode: 0o600, flag: "wx", flush: true });
    renameSync(draft, file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CodedError("ACCESS_INVALID", `cannot write the password file ${file}: ${code}`, error);
  }
}

/** The first line of standard input. */
async function pipedPassword(): Promise<string> {
  return (await text(process.stdin)).split(/\r?\n/, 1)[0]!;
}

/** Asked for twice on the terminal, without showing it; undefined when the two differ. */
async function askedPassword(): Promise<string | undefined> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: process.stdin.isTTY });
  const answers: string[] = [];
  process.stderr.write("Password: ");
  for await (const line of lines) {
    answers.push(line);
    process.stderr.write("\n");
    if (answers.length === 2) break;
    process.stderr.write("Again: ");
  }
  lines.close();
  return answers[0] === answers[1] ? (answers[0] ?? "") : undefined;
}

function refused(line: string): number {
  printRefusal(line);
  return EXIT_REFUSED;
}

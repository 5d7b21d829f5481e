/**
 * The password file: a user a line, its password only as a salted hash with what the hash costs, in the PHC string format.
 *
 * ```
 *   alice:$scrypt$ln=14,r=8,p=1$<salt, base64>$<hash, base64>
 *   └user        └cost          unpadded
 * ```
 *
 * Blank lines and lines that begin with `#` are skipped. Whatever else is not such a line is a fault, and so is a file without a user: a
 * security file that is not understood must never mean "no security". No fault shows more than a line's number.
 */
import { CodedError } from "../base/errors.ts";
import { CREDENTIAL_BYTES_MAX } from "./authentication.ts";

/** scrypt: 2^ln rounds of blocks of 128 r bytes, p times. */
export interface ScryptCost {
  readonly ln: number;
  readonly r: number;
  readonly p: number;
}

export interface PasswordHash {
  readonly cost: ScryptCost;
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

export interface PasswordEntry extends PasswordHash {
  readonly user: string;
  /** The hash as it stands in the file: equal texts, equal passwords. */
  readonly encoded: string;
}

/** What a hash may cost: from a millisecond to a second, 128 r 2^ln bytes of memory. */
export const SCRYPT_LN_MIN = 10;
export const SCRYPT_LN_MAX = 18;
export const SCRYPT_MEMORY_BYTES_MAX = 256 * 1024 * 1024;
const SCRYPT_R_MAX = 32;
const SCRYPT_P_MAX = 8;
const SALT_BYTES_MIN = 8;
const SALT_BYTES_MAX = 64;
const HASH_BYTES_MIN = 16;
const HASH_BYTES_MAX = 64;

/** The users of a file's text; `name` is what faults call it. Throws ACCESS_INVALID. */
export function parsePasswordFile(text: string, name: string): ReadonlyMap<string, PasswordEntry> {
  const entries = new Map<string, PasswordEntry>();
  for (const [index, line] of linesOf(text).entries()) {
    if (isSkipped(line)) continue;
    const entry = entryOf(line);
    const fault =
      typeof entry === "string" ? entry : entries.has(entry.user) ? "this user has a line already" : undefined;
    if (fault !== undefined) throw new CodedError("ACCESS_INVALID", `${name}:${index + 1}: ${fault}`);
    const { user } = entry as PasswordEntry;
    entries.set(user, entry as PasswordEntry);
  }
  if (entries.size === 0) throw new CodedError("ACCESS_INVALID", `${name}: holds no user`);
  return entries;
}

/** The text with this user's line set, or removed when `encoded` is undefined; all other lines stay as they are. */
export function withUser(text: string, user: string, encoded: string | undefined): string {
  const lines = linesOf(text).filter((line) => isSkipped(line) || !line.startsWith(`${user}:`));
  while (lines.at(-1)?.trim() === "") lines.pop();
  if (encoded !== undefined) lines.push(`${user}:${encoded}`);
  return lines.map((line) => `${line}\n`).join("");
}

/** Why this is no user's name, in words; undefined when it is one. */
export function userNameFaultOf(user: string): string | undefined {
  if (user === "") return "a user's name is not empty";
  if (Buffer.byteLength(user) > CREDENTIAL_BYTES_MAX) return `a user's name has at most ${CREDENTIAL_BYTES_MAX} bytes`;
  if (user.startsWith("#")) return "a user's name does not begin with #";
  return UNFIT.test(user) || user !== user.trim()
    ? "a user's name has no colon, no control characters and no white space around it"
    : undefined;
}

export function encodePasswordHash({ cost, salt, hash }: PasswordHash): string {
  return `$scrypt$ln=${cost.ln},r=${cost.r},p=${cost.p}$${base64Of(salt)}$${base64Of(hash)}`;
}

const UNFIT = /[:\p{Control}\p{Surrogate}]/u;
const HASH_FORM = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;
const FORM = "expected user:$scrypt$ln=…,r=…,p=…$salt$hash, as restante passwd writes it";

const linesOf = (text: string): string[] =>
  text
    .replace(/^\uFEFF/, "")
    .split("\n")
    .map((line) => line.replace(/\r$/, ""));

const isSkipped = (line: string): boolean => line.trim() === "" || line.startsWith("#");

/** An entry, or the fault in words. */
function entryOf(line: string): PasswordEntry | string {
  const colon = line.indexOf(":");
  if (colon < 0) return FORM;
  const user = line.slice(0, colon);
  const encoded = line.slice(colon + 1);
  const fault = userNameFaultOf(user);
  if (fault !== undefined) return fault;
  const parts = HASH_FORM.exec(encoded);
  if (parts === null) return FORM;
  const cost = { ln: Number(parts[1]), r: Number(parts[2]), p: Number(parts[3]) };
  const salt = Buffer.from(parts[4]!, "base64");
  const hash = Buffer.from(parts[5]!, "base64");
  if (base64Of(salt) !== parts[4] || base64Of(hash) !== parts[5]) return FORM;
  if (!isBetween(salt.length, SALT_BYTES_MIN, SALT_BYTES_MAX)) return "the salt is too short or too long";
  if (!isBetween(hash.length, HASH_BYTES_MIN, HASH_BYTES_MAX)) return "the hash is too short or too long";
  if (!isBearable(cost)) return "the cost of the hash is out of bounds";
  return { user, encoded, cost, salt, hash };
}

function isBearable({ ln, r, p }: ScryptCost): boolean {
  const isInRange =
    isBetween(ln, SCRYPT_LN_MIN, SCRYPT_LN_MAX) && isBetween(r, 1, SCRYPT_R_MAX) && isBetween(p, 1, SCRYPT_P_MAX);
  return isInRange && 128 * r * 2 ** ln <= SCRYPT_MEMORY_BYTES_MAX;
}

const isBetween = (value: number, min: number, max: number): boolean => value >= min && value <= max;
const base64Of = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64").replaceAll("=", "");

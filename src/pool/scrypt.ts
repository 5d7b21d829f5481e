/** scrypt, in its form that occupies the calling thread: for the threads of the pool, and for the command line. */
import { randomBytes, scryptSync, timingSafeEqual } from "node:crypto";
import { encodePasswordHash, type PasswordHash, type ScryptCost } from "../access/password-file.ts";

/** 16 MiB and some 40 ms a password; see docs/decisions/0095-passwords-cost-40-milliseconds.md. */
export const SCRYPT_COST_DEFAULT: ScryptCost = { ln: 14, r: 8, p: 1 };
const SALT_BYTES = 16;
const HASH_BYTES = 32;

/** A password's line in the password file, without its user. */
export function hashPassword(password: Uint8Array, cost: ScryptCost = SCRYPT_COST_DEFAULT): string {
  const salt = randomBytes(SALT_BYTES);
  return encodePasswordHash({ cost, salt, hash: derive(password, salt, cost, HASH_BYTES) });
}

/** Whether it is the password of this hash; takes the same time for any password. */
export function isPassword(password: Uint8Array, { cost, salt, hash }: PasswordHash): boolean {
  return timingSafeEqual(derive(password, salt, cost, hash.length), hash);
}

function derive(password: Uint8Array, salt: Uint8Array, { ln, r, p }: ScryptCost, hashBytes: number): Buffer {
  const memoryBytes = 128 * r * (2 ** ln + p + 2);
  return scryptSync(password, salt, hashBytes, { N: 2 ** ln, r, p, maxmem: memoryBytes * 2 });
}

/** What a thread of the pool runs: one password against one hash. */
import type { PasswordHash } from "../access/password-file.ts";
import { isPassword } from "./scrypt.ts";

export interface PasswordTask {
  readonly password: Uint8Array;
  readonly against: PasswordHash;
}

export default ({ password, against }: PasswordTask): boolean => isPassword(password, against);

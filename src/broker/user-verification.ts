/**
 * The users of the password file, and the judgement of what workers ask. An unknown user costs the same as a wrong password: it is
 * compared with the hash of another one.
 */
import { createHmac, randomBytes } from "node:crypto";
import type { VerificationOutcome } from "../access/authentication.ts";
import type { PasswordEntry } from "../access/password-file.ts";
import { PasswordPool } from "../pool/password-pool.ts";
import type { PasswordRequest } from "../worker/thread-protocol.ts";

export class UserVerification {
  readonly #pool: PasswordPool;
  readonly #seed = randomBytes(32);
  #users: ReadonlyMap<string, PasswordEntry>;
  #entries: readonly PasswordEntry[];

  /** `onFault` hears of bugs. */
  constructor(users: ReadonlyMap<string, PasswordEntry>, onFault: (fault: Error) => void) {
    this.#users = users;
    this.#entries = [...users.values()];
    this.#pool = new PasswordPool(onFault);
  }

  /** Calls back once, later or at once. */
  verify({ username, password, address }: PasswordRequest, judged: (outcome: VerificationOutcome) => void): void {
    const entry = this.#users.get(username);
    this.#pool.verify(address, password, entry ?? this.#decoyOf(username), (outcome) => {
      // The file may have been read again meanwhile: then only what is in it now counts.
      const isUser = entry !== undefined && this.#users.get(username)?.encoded === entry.encoded;
      judged(outcome === "right" && !isUser ? "wrong" : outcome);
    });
  }

  /** Other users; answers those that are gone or have another password. What is being verified is judged by the new ones. */
  replace(users: ReadonlyMap<string, PasswordEntry>): readonly string[] {
    const gone = this.#entries.filter(({ user, encoded }) => users.get(user)?.encoded !== encoded);
    this.#users = users;
    this.#entries = [...users.values()];
    return gone.map(({ user }) => user);
  }

  close(): Promise<void> {
    return this.#pool.close();
  }

  /** The same one for a name every time, of all there are: its cost tells nothing, also when costs differ. */
  #decoyOf(username: string): PasswordEntry {
    const number = createHmac("sha256", this.#seed).update(username).digest().readUInt32LE();
    return this.#entries[number % this.#entries.length]!;
  }
}

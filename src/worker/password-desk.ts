/**
 * What this worker has asked main about passwords: the hashes, and the threads that compute them, are there.
 *
 * ```
 *   CONNECT ─► verify (number, name, password) ─► main: pool ─► verified (number, outcome) ─► CONNACK
 * ```
 */
import type { VerificationOutcome, VerifyPassword } from "../access/authentication.ts";
import type { PasswordRequest } from "./thread-protocol.ts";

export class PasswordDesk {
  readonly #ask: (request: PasswordRequest) => void;
  readonly #waiting = new Map<number, (outcome: VerificationOutcome) => void>();
  #number = 0;

  constructor(ask: (request: PasswordRequest) => void) {
    this.#ask = ask;
  }

  readonly verify: VerifyPassword = (request, judged) => {
    this.#number += 1;
    this.#waiting.set(this.#number, judged);
    this.#ask({ ...request, number: this.#number });
  };

  onVerified(number: number, outcome: VerificationOutcome): void {
    const judged = this.#waiting.get(number);
    this.#waiting.delete(number);
    judged?.(outcome);
  }
}

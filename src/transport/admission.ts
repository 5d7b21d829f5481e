/**
 * When the strangers of a listener are read: at once while the gate is open, else in the order of their arrival. Who waits costs an idle
 * socket, and its deadline runs.
 *
 * ```
 *   enter ──┬─ gate open ─────────────────────► admitted
 *           └─ not ─► waits ─── a check ────────► admitted        leave: gone meanwhile
 * ```
 */
import { ADMISSION_CHECK_MS } from "../base/limits.ts";
import type { ConnectGate } from "./connect-gate.ts";

export class Admission<T> {
  readonly #gate: ConnectGate;
  readonly #admit: (stranger: T) => void;
  readonly #waiting = new Set<T>();
  #check: NodeJS.Timeout | null = null;

  constructor(gate: ConnectGate, admit: (stranger: T) => void) {
    this.#gate = gate;
    this.#admit = admit;
  }

  /** One may be read now, and has passed. */
  tryPass(): boolean {
    return this.#waiting.size === 0 && this.#gate.tryPass();
  }

  enter(stranger: T): void {
    if (this.tryPass()) {
      this.#admit(stranger);
      return;
    }
    this.#waiting.add(stranger);
    this.#check ??= setTimeout(() => this.#onCheck(), ADMISSION_CHECK_MS);
  }

  /** A stranger is gone, or was admitted long ago. */
  leave(stranger: T): void {
    this.#waiting.delete(stranger);
  }

  /** Admits nobody any more. */
  close(): void {
    if (this.#check !== null) clearTimeout(this.#check);
    this.#check = null;
    this.#waiting.clear();
  }

  #onCheck(): void {
    this.#check = null;
    for (const stranger of this.#waiting) {
      if (!this.#gate.tryPass()) break;
      this.#waiting.delete(stranger);
      this.#admit(stranger);
    }
    if (this.#waiting.size > 0) this.#check = setTimeout(() => this.#onCheck(), ADMISSION_CHECK_MS);
  }
}

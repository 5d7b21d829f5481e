/**
 * Everything that waits for one batch of one partition to be on disk: publishers, sessions with a new message, and
 * whoever put a keyed value. One gathers, the others are sealed and end in order.
 */
import type { Table } from "../log/contract.ts";
import type { Session } from "../session/session.ts";
import { Waiters } from "./waiters.ts";

export type CommitOutcome = "stored" | "failed";

/** A keyed value that has to be put again should the batch fail. */
interface Put {
  readonly table: Table;
  readonly key: string;
  readonly value: Uint8Array | undefined;
}

export class BatchCompany {
  readonly waiters = new Waiters();
  readonly puts = new Map<string, Put>();
  #callbacks: ((outcome: CommitOutcome) => void)[] = [];
  #sessions: Session[] = [];
  #positions = new Float64Array(64);
  #messageBytes = new Uint32Array(64);
  #flags = new Uint8Array(64);

  put(table: Table, key: string, value: Uint8Array | undefined): void {
    this.puts.set(`${table}/${key}`, { table, key, value });
  }

  afterCommit(callback: (outcome: CommitOutcome) => void): void {
    this.#callbacks.push(callback);
  }

  /** A session gets this record once it is on disk. */
  deliverAfterCommit(session: Session, position: number, messageBytes: number, flags: number): void {
    const length = this.#sessions.length;
    if (length === this.#positions.length) this.#grow();
    this.#positions[length] = position;
    this.#messageBytes[length] = messageBytes;
    this.#flags[length] = flags;
    this.#sessions.push(session);
  }

  drainDeliveries(visit: (session: Session, position: number, messageBytes: number, flags: number) => void): void {
    const sessions = this.#sessions;
    for (let index = 0; index < sessions.length; index += 1) {
      visit(sessions[index]!, this.#positions[index]!, this.#messageBytes[index]!, this.#flags[index]!);
    }
    sessions.length = 0;
  }

  drainCallbacks(outcome: CommitOutcome): void {
    const callbacks = this.#callbacks;
    if (callbacks.length === 0) return;
    this.#callbacks = [];
    for (const callback of callbacks) callback(outcome);
  }

  #grow(): void {
    const capacity = this.#positions.length * 2;
    const positions = new Float64Array(capacity);
    const messageBytes = new Uint32Array(capacity);
    const flags = new Uint8Array(capacity);
    positions.set(this.#positions);
    messageBytes.set(this.#messageBytes);
    flags.set(this.#flags);
    this.#positions = positions;
    this.#messageBytes = messageBytes;
    this.#flags = flags;
  }
}

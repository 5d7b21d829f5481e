/** Log records that are about to move: what is needed of each beside its message, 30 bytes, in order of position. */
import type { RecordSummary } from "../log/contract.ts";

const CAPACITY_MIN = 1_024;

export class MovingRecords {
  #positions = new Float64Array(CAPACITY_MIN);
  #expiresAtMs = new Float64Array(CAPACITY_MIN);
  #targets = new Uint32Array(CAPACITY_MIN);
  #flags = new Uint16Array(CAPACITY_MIN);
  #keyHashHighs = new Uint32Array(CAPACITY_MIN);
  #keyHashLows = new Uint32Array(CAPACITY_MIN);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(record: RecordSummary): void {
    const index = this.#length;
    if (index === this.#positions.length) this.#grow();
    this.#positions[index] = record.position;
    this.#expiresAtMs[index] = record.expiresAtMs;
    this.#targets[index] = record.target;
    this.#flags[index] = record.flags;
    this.#keyHashHighs[index] = record.keyHashHigh;
    this.#keyHashLows[index] = record.keyHashLow;
    this.#length = index + 1;
  }

  positionAt(index: number): number {
    return this.#positions[index]!;
  }

  expiresAtMsAt(index: number): number {
    return this.#expiresAtMs[index]!;
  }

  targetAt(index: number): number {
    return this.#targets[index]!;
  }

  flagsAt(index: number): number {
    return this.#flags[index]!;
  }

  keyHashHighAt(index: number): number {
    return this.#keyHashHighs[index]!;
  }

  keyHashLowAt(index: number): number {
    return this.#keyHashLows[index]!;
  }

  #grow(): void {
    const capacity = this.#positions.length * 2;
    const positions = new Float64Array(capacity);
    const expiresAtMs = new Float64Array(capacity);
    const targets = new Uint32Array(capacity);
    const flags = new Uint16Array(capacity);
    const keyHashHighs = new Uint32Array(capacity);
    const keyHashLows = new Uint32Array(capacity);
    positions.set(this.#positions);
    expiresAtMs.set(this.#expiresAtMs);
    targets.set(this.#targets);
    flags.set(this.#flags);
    keyHashHighs.set(this.#keyHashHighs);
    keyHashLows.set(this.#keyHashLows);
    this.#positions = positions;
    this.#expiresAtMs = expiresAtMs;
    this.#targets = targets;
    this.#flags = flags;
    this.#keyHashHighs = keyHashHighs;
    this.#keyHashLows = keyHashLows;
  }
}

/**
 * Whether a commit finds room in the store's file: what it needs at most, and what the reserve allows it.
 */
import { LOG_RESERVE_BYTES } from "../base/limits.ts";
import type { BatchTable } from "./batch-table.ts";
import type { Commit } from "./commit.ts";
import type { DamageReport } from "./damage-report.ts";
import { type Environment, fileOf } from "./environment.ts";
import { growthOfCommit } from "./growth.ts";
import { Reserve } from "./reserve.ts";

export class Space {
  readonly #environment: Environment;
  readonly #table: BatchTable;
  readonly #damage: DamageReport;
  readonly #reserve: Reserve;

  constructor(directory: string, environment: Environment, table: BatchTable, damage: DamageReport) {
    this.#environment = environment;
    this.#table = table;
    this.#damage = damage;
    this.#reserve = new Reserve({
      file: fileOf(directory),
      directory,
      endBytes: () => environment.endBytes(),
      freeBytes: () => this.#freeBytes,
    });
    this.#reserve.tryClaim(0, LOG_RESERVE_BYTES); // While there is space.
  }

  /** Claims room for a commit: how much longer it may make the file at most, and whether it may. */
  claim(commit: Commit): { readonly growthBytes: number; readonly isGranted: boolean } {
    const guess = this.#growthOf(commit, true);
    if (this.#hasRoomFor(commit, guess)) return { growthBytes: guess, isGranted: true };
    const growthBytes = this.#growthOf(commit, false);
    return { growthBytes, isGranted: this.#hasRoomFor(commit, growthBytes) };
  }

  /** Whether a commit with records may lengthen the file by so much; so many bytes of it are taken. */
  hasRoomForRecords(growthBytes: number, takenBytes: number): boolean {
    const leftBytes = growthBytes - takenBytes;
    if (this.#reserve.tryClaim(takenBytes, leftBytes + LOG_RESERVE_BYTES)) return true;
    // On a full disk the pages that became free within the file take it, or most of it: they may lie too far apart.
    return this.#freeBytes > 2 * growthBytes && this.#reserve.tryClaim(takenBytes, leftBytes + LOG_RESERVE_BYTES / 2);
  }

  close(): void {
    this.#reserve.close();
  }

  /** What brings no records may use the reserve: most of it makes room. */
  #hasRoomFor(commit: Commit, growthBytes: number): boolean {
    if (commit.image === undefined) return this.#reserve.tryClaim(growthBytes, 0);
    return this.hasRoomForRecords(growthBytes, growthBytes);
  }

  #growthOf(commit: Commit, isGuess: boolean): number {
    const treePages = (): number => this.#environment.treePages();
    return growthOfCommit(commit, this.#table, treePages, isGuess) + this.#damage.asideBytes;
  }

  get #freeBytes(): number {
    const { freePages, pageBytes } = this.#environment.pages();
    return freePages * pageBytes;
  }
}

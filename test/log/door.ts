/**
 * A door between a log and LMDB: a commit is kept until the test lets it through, tells of its end, or makes it fail. Also a disk that
 * has no room. Before a commit goes through, what the log gave for it must still be what it was.
 */
import { expect } from "vitest";
import { type BatchStore, type Changes, Environment, type KeyedStore } from "../../src/log/environment.ts";
import { Space } from "../../src/log/space.ts";

type Change =
  | { readonly store: BatchStore; readonly batch: number; readonly value: Buffer | undefined; readonly copy: Buffer }
  | { readonly store: KeyedStore; readonly key: Buffer; readonly value: Buffer | undefined; readonly copy: Buffer };

interface Kept {
  readonly environment: Environment;
  readonly changes: readonly Change[];
  isOnDisk: boolean;
  readonly succeed: () => void;
  readonly fail: (cause: Error) => void;
}

const { commit: commitNow } = Environment.prototype;
const { claim: claimNow } = Space.prototype;
const NOTHING = Buffer.alloc(0);
const ignore = (): void => undefined;

export class Door {
  /** Commits are kept; otherwise they go through at once. */
  isClosed = false;
  /** No commit finds room, or none with merges. */
  refused: "none" | "merges" | "all" = "none";
  /** A commit is on disk now, whether or not the log knows. */
  onDisk: () => void = () => undefined;
  #kept: Kept | undefined;
  #storing: Promise<void> = Promise.resolve();

  /** Stands in the way of every log of this process, until `remove`. */
  install(): void {
    const door = this;
    Environment.prototype.commit = function (write) {
      return door.#commit(this, write);
    };
    Space.prototype.claim = function (commit) {
      const claimed = claimNow.call(this, commit);
      const isRefused = door.refused === "all" || (door.refused === "merges" && commit.merges.length > 0);
      return isRefused ? { ...claimed, isGranted: false } : claimed;
    };
  }

  remove(): void {
    Environment.prototype.commit = commitNow;
    Space.prototype.claim = claimNow;
  }

  get isKeeping(): boolean {
    return this.#kept !== undefined;
  }

  /** Whether the commit that is kept is on disk already. */
  get isOnDisk(): boolean {
    return this.#kept?.isOnDisk === true;
  }

  /** The kept commit goes to the disk; the log does not hear of it. */
  async store(): Promise<void> {
    if (this.#kept !== undefined && !this.#kept.isOnDisk) await this.#store(this.#kept);
  }

  /** Nothing is on its way to the disk then. */
  async quiet(): Promise<void> {
    await this.#storing;
  }

  #store(kept: Kept): Promise<void> {
    this.#storing = this.#put(kept);
    return this.#storing;
  }

  async #put(kept: Kept): Promise<void> {
    for (const { value, copy } of kept.changes) {
      if (value !== undefined && !value.equals(copy)) expect.unreachable("a value changed before its commit ended");
    }
    await commitNow.call(kept.environment, (changes) => putAll(kept.changes, changes));
    kept.isOnDisk = true;
    this.onDisk();
  }

  /** The kept commit ends: well when it is on disk, otherwise it fails. */
  answer(): void {
    const kept = this.#kept;
    this.#kept = undefined;
    if (kept?.isOnDisk === true) kept.succeed();
    else kept?.fail(new Error("the disk does not answer"));
  }

  async #commit(environment: Environment, write: (changes: Changes) => void): Promise<void> {
    const changes: Change[] = [];
    write({
      putBatch: (store, batch, value) => changes.push({ store, batch, value, copy: Buffer.from(value) }),
      removeBatch: (store, batch) => changes.push({ store, batch, value: undefined, copy: NOTHING }),
      put: (store, key, value) => changes.push({ store, key: Buffer.from(key), value, copy: Buffer.from(value) }),
      remove: (store, key) => changes.push({ store, key: Buffer.from(key), value: undefined, copy: NOTHING }),
    });
    if (!this.isClosed) {
      await this.#store({ environment, changes, isOnDisk: false, succeed: ignore, fail: ignore });
      return;
    }
    await new Promise<void>((succeed, fail) => {
      this.#kept = { environment, changes, isOnDisk: false, succeed, fail };
    });
  }
}

function putAll(all: readonly Change[], changes: Changes): void {
  for (const change of all) {
    if ("batch" in change) {
      if (change.value === undefined) changes.removeBatch(change.store, change.batch);
      else changes.putBatch(change.store, change.batch, change.value);
    } else if (change.value === undefined) changes.remove(change.store, change.key);
    else changes.put(change.store, change.key, change.value);
  }
}

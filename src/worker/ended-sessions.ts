/** Sessions that have ended and that the disk has not forgotten yet, with whoever waits for that. */
import type { CommitOutcome } from "./batch-company.ts";
import type { Partition } from "./partition.ts";

type Told = (outcome: CommitOutcome) => void;

interface Ended {
  /** What the disk has still to forget. */
  left: number;
  waiting: Told[];
}

export class EndedSessions {
  readonly #ended = new Map<string, Ended>();

  /** Something of an ended session is to be forgotten: tell how each try went, "stored" last. */
  add(clientId: string): Told {
    const ended: Ended = this.#ended.get(clientId) ?? { left: 0, waiting: [] };
    this.#ended.set(clientId, ended);
    ended.left += 1;
    return (outcome) => {
      if (outcome === "stored") {
        ended.left -= 1;
        if (ended.left > 0) return;
        this.#ended.delete(clientId);
      }
      for (const done of ended.waiting.splice(0)) done(outcome);
    };
  }

  /** A session's removal gathers in its partition; should the commit fail, the partition puts it again. */
  addRemoval(clientId: string, partition: Partition): void {
    const told = this.add(clientId);
    const watch = (): void =>
      partition.company.afterCommit((outcome) => {
        if (outcome === "failed") watch();
        told(outcome);
      });
    watch();
  }

  /** `done` when no ended session of this client is on disk, at once if there is none; with "failed" after a try that failed. */
  whenForgotten(clientId: string, done: Told): void {
    const ended = this.#ended.get(clientId);
    if (ended === undefined) done("stored");
    else ended.waiting.push(done);
  }
}

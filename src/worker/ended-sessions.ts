/** Sessions that have ended and that the disk has not forgotten yet, with whoever waits for that. */
import type { CommitOutcome } from "./batch-company.ts";
import type { Partition } from "./partition.ts";

export class EndedSessions {
  readonly #waiting = new Map<string, ((outcome: CommitOutcome) => void)[]>();

  /** A session's removal gathers in its partition; should the commit fail, the partition puts it again. */
  add(clientId: string, partition: Partition): void {
    const waiting: ((outcome: CommitOutcome) => void)[] = [];
    this.#waiting.set(clientId, waiting);
    partition.company.afterCommit((outcome) => {
      const isNewest = this.#waiting.get(clientId) === waiting;
      if (isNewest && outcome === "stored") this.#waiting.delete(clientId);
      if (isNewest && outcome === "failed") this.add(clientId, partition);
      for (const done of waiting) done(outcome);
    });
  }

  /** `done` when no ended session of this client is on disk, at once if there is none; with "failed" after a try that failed. */
  whenForgotten(clientId: string, done: (outcome: CommitOutcome) => void): void {
    const waiting = this.#waiting.get(clientId);
    if (waiting === undefined) done("stored");
    else waiting.push(done);
  }
}

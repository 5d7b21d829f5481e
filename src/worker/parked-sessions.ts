/** The sessions of a worker whose PUBLISH waits for room, oldest first. */
import { PARKED_REFUSALS_PER_TURN } from "../base/limits.ts";
import { retryDeferred } from "../session/receive.ts";
import type { Session } from "../session/session.ts";

export class ParkedSessions {
  readonly #sessions = new Set<Session>();
  /** How many of them have not been tried in this round. */
  #untried = 0;

  add(session: Session): void {
    this.#sessions.add(session);
  }

  delete(session: Session): void {
    this.#sessions.delete(session);
  }

  /** Tries what waits again, a bounded part per turn; true when some were not tried yet. */
  retry(): boolean {
    const sessions = this.#sessions;
    if (this.#untried === 0) this.#untried = sessions.size;
    for (let refused = 0; this.#untried > 0 && refused < PARKED_REFUSALS_PER_TURN; this.#untried -= 1) {
      const session: Session | undefined = sessions.values().next().value;
      if (session === undefined) {
        this.#untried = 0;
        return false;
      }
      sessions.delete(session);
      const { attendance } = session;
      if (attendance === undefined || attendance.isClosing || retryDeferred(session, attendance)) continue;
      sessions.add(session);
      refused += 1;
    }
    return this.#untried > 0;
  }
}

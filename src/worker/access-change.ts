/**
 * Other users or rules, while clients are connected: who is no user any more goes, everybody else is judged anew.
 *
 * ```
 *   main: files read, all good ─► access ─► each worker: rules in force ─┬─ a user who is gone: DISCONNECT 0x98
 *                                                                      ├─ sessions: rights anew, from the next message on
 *                                                                      └─ consumers: attached or detached; what they had goes back
 * ```
 */
import type { Rules } from "../access/rules.ts";
import { ReasonCode } from "../mqtt/reason-codes.ts";
import { disconnect } from "../session/disconnect.ts";
import { identify } from "../session/rights.ts";
import type { Session } from "../session/session.ts";
import type { AccessDesk } from "./access-desk.ts";
import type { Attachments } from "./attachments.ts";

export interface AccessChange {
  readonly rules: Rules | undefined;
  /** Users that are no more, or have another password. */
  readonly goneUsers: readonly string[];
}

export function changeAccess(
  { rules, goneUsers }: AccessChange,
  access: AccessDesk,
  sessions: Iterable<Session>,
  attachments: Attachments,
): void {
  const gone = new Set(goneUsers);
  access.replace(rules);
  for (const session of sessions) {
    const { identity, attendance } = session;
    if (identity === undefined) continue; // Nobody has come since the start: it is judged when somebody does.
    identify(session, identity);
    if (attendance !== undefined && identity.user !== undefined && gone.has(identity.user)) {
      disconnect(session, attendance, ReasonCode.administrativeAction);
    }
    for (const attachment of [...session.attachments]) attachments.judge(attachment);
  }
}

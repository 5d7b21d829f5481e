/**
 * The door of authorization: what a client may publish, subscribe to and be given. The rules of a file are one `Authorizer`; another way (the
 * claims of a token, a service) is one more.
 *
 * ```
 *   CONNECT, or other rules ─► rightsOf(identity) ─► Rights ─┬─ PUBLISH: mayPublish
 *                                                          ├─ SUBSCRIBE: standingOf
 *                                                          └─ each message for a guarded subscription, retained, waiting: mayReceive
 * ```
 *
 * Rights are asked in the middle of a turn: they answer at once, and for a topic that was asked for before without allocating.
 */

/** Who a client is, for the rules; `user` only if it was proven. */
export interface Identity {
  readonly clientId: string;
  readonly user: string | undefined;
  readonly address: string;
}

/** What a subscription may get: nothing, all that its filter matches, or what the rules allow of it, message by message. */
export type Standing = "closed" | "open" | "guarded";

export interface Rights {
  /** Whether it may publish to the topic at [start, end). */
  mayPublish(bytes: Buffer, start: number, end: number): boolean;
  /** Whether it may be given a message of the topic at [start, end), by a subscription with this filter, or by whichever it had. */
  mayReceive(bytes: Buffer, start: number, end: number, filter: string | undefined): boolean;
  /** What a subscription to a filter may get; also of `$queue/<name>` and `$q/<filter>`. */
  standingOf(filter: string): Standing;
}

export interface Authorizer {
  /** A client's rights; undefined when everybody may do everything. They hold until it connects again or the rules change. */
  rightsOf(identity: Identity): Rights | undefined;
}

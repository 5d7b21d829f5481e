/**
 * What a session needs of the rest of its worker, and nothing more: a connection to write to, a store for what must last, and
 * a host that knows all the others. The worker room ties these to transport, log, router and queues.
 */
import type { Authenticator } from "../access/authentication.ts";
import type { Authorizer } from "../access/authorization.ts";
import type { PeerIdentity } from "../base/peer-identity.ts";
import type { Region } from "../base/region.ts";
import type { AcknowledgementLine } from "./acknowledgement-line.ts";
import type { Attachment } from "./attachment.ts";
import type { SessionCounters } from "./counters.ts";
import type { Crossing } from "./crossing.ts";
import type { RELEASED, SENT_QOS2 } from "./outgoing.ts";
import type { Attendance, Session } from "./session.ts";
import type { Subscription } from "./subscription.ts";

/** What a session needs of its connection, whatever its transport; see transport/connection.ts for the rules. */
export interface ClientConnection {
  /** Where the bytes of the last `reserve` go; may be another region after the next one. */
  readonly output: Region;
  /** Room for exactly so many bytes of output, to be written before anything else happens; returns their offset. */
  reserve(byteLength: number): number;
  /** False while the peer does not read: QoS 0 is dropped, everything else waits. */
  readonly isWritable: boolean;
  /** Bytes reserved so far, and how many of them the kernel has taken. */
  readonly bytesReserved: number;
  readonly bytesWritten: number;
  readonly peer: string;
  /** Bytes that have come, and whether they end in the middle of a packet. */
  readonly bytesRead: number;
  readonly hasPartialPacket: boolean;
  /** For those who decide what this client may do. */
  readonly identity: PeerIdentity;
  pauseReading(): void;
  resumeReading(): void;
  /** One `onWritten` of the handler as soon as bytesWritten reaches the mark. */
  watchWritten(mark: number): void;
  /** Sends what is reserved, then closes. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
}

/** Filled by `SessionStore.read`; valid until the next call into the store. */
export interface StoredMessage {
  region: Region;
  offset: number;
}

/** A session's part of its partition's log. */
export interface SessionStore {
  settle(position: number): void;
  read(position: number, into: StoredMessage): "found" | "gone" | "damaged";
  /**
   * A record that a shared subscription may still have on disk, too, must not be completed with the client: `done` when it has not, in place of
   * an earlier `done`. False: it is the session's alone, now.
   */
  whenForgotten(position: number, done: () => void): boolean;
}

export interface SessionLimits {
  /** QoS 1 and 2 deliveries in flight to one client at most; its Receive Maximum may lower it. */
  readonly inFlightMax: number;
  /** Announced to publishers. */
  readonly receiveMaximum: number;
  readonly packetBytesMax: number;
  readonly queuedMessagesMax: number;
  readonly queuedBytesMax: number;
  /** What goes beyond these two. */
  readonly inboxOverflow: "drop_oldest" | "drop_newest";
  /** Whether messages with QoS 0 wait for a session that outlives its connection, too, in memory. */
  readonly queuesQos0: boolean;
  /** Which member of a shared subscription is given the next message. */
  readonly sharedStrategy: "random" | "round_robin" | "least_inflight";
  /** Subscriptions of one session at most. */
  readonly subscriptionsMax: number;
  /** Sessions of one worker, beyond which none begins that would outlive its connection. */
  readonly sessionsMax: number;
  /** Retained messages of one worker. */
  readonly retainedBytesMax: number;
  /** What the sessions of one thread keep beside messages; see belongings.ts. */
  readonly belongingsBytesMax: number;
  /** Seconds; a longer Keep Alive of an MQTT 5 client is lowered to it; 0 = no bound. */
  readonly keepAliveMaxS: number;
  /** How long a session of an MQTT 3 client with clean session 0 outlives its connection; seconds, Infinity = for ever. */
  readonly level3ExpiryS: number;
}

/** An answer of `publish`. */
export const NO_ROOM_NOW = -1;

/** The retained messages of one new subscription, given one by one as the client takes them. */
export interface Recall {
  readonly subscription: Subscription;
  /** What the subscription is given as retained, and what as it is published. */
  readonly crossing: Crossing;
  /** The next one, for a subscription with this QoS; undefined when there is none now. It never changes, so it may be kept. */
  next(qos: number): Region | undefined;
  /** Nothing more will come. */
  readonly isDone: boolean;
  /** Everyone concerned has begun to look: the first matches of each are here. */
  readonly isOpen: boolean;
  close(): void;
}

/** Who may do what. */
export interface SessionAccess extends Authorizer {
  readonly authenticator: Authenticator;
  /** The topic filter of the queue that a subscription names; undefined while there is none. */
  queueFilterOf(filter: string): string | undefined;
}

export interface SessionHost {
  readonly access: SessionAccess;
  readonly limits: SessionLimits;
  readonly counters: SessionCounters;
  /** Sessions that are here. */
  readonly sessionCount: number;
  /** The time of this turn, milliseconds since the epoch. */
  nowMs(): number;
  random(): number;
  /** Something happened outside a turn: let one come. */
  wake(): void;

  /** One pump has sent or dropped as much as it may: the session goes on in the next turn. */
  pumpSoon(session: Session): void;
  /** The session's reading is paused for want of room: resume it when there is some. */
  park(session: Session): void;
  /**
   * Routes a message to everyone who wants it. Everyone who still has to store it is added to `line` by `expect` and resolves
   * it later. Returns what is known now: success, "no matching subscribers", or an error; NO_ROOM_NOW when a log or a ring it
   * has to go to is full: then nothing has happened. `sequence` is -1 when nobody waits for an answer.
   */
  publish(
    message: Region,
    offset: number,
    from: Session | undefined,
    sequence: number,
    flags: number,
    packetId: number,
  ): number;
  /**
   * Forgets a QoS 2 identifier of a session that outlives its connection; `tried`: whether the disk has forgotten it. If not, it will,
   * and who releases it again waits for that.
   */
  release(session: Session, packetId: number, tried: (outcome: "stored" | "failed") => void): void;
  /** Keeps a QoS 2 delivery's state on disk; `done` when it is there. */
  keepOutbound(
    session: Session,
    packetId: number,
    state: typeof SENT_QOS2 | typeof RELEASED,
    position: number,
    done: (outcome: "stored" | "failed") => void,
  ): void;
  forgetOutbound(session: Session, packetId: number): void;
  /** The position that the next stored message of a session that outlives its connection gets, or one before it. */
  nextPosition(session: Session): number;
  /** Takes up an origin for STORED answers; returns its number. */
  openOrigin(line: AcknowledgementLine): number;
  closeOrigin(origin: number): void;

  /** The session has this subscription now: route to it. `done` when every worker knows, or its queue is there if it may be created. */
  subscribe(subscription: Subscription, previous: Subscription | undefined, done: () => void): void;
  /** A subscription to a queue is made once more: `done` when its queue is there, if it may be created. */
  wantQueue(subscription: Subscription, done: () => void): void;
  /** An attachment takes nothing more; what is in flight stays with it until it is settled. */
  unsubscribe(subscription: Subscription): void;
  /** A subscription is routed to from now on, and is to be given what is retained; `isOneOfMany`: of its client so many wait that it costs little. */
  newCrossing(isOneOfMany: boolean): Crossing;
  /** The retained messages that match a subscription; `more` whenever some have come from elsewhere. */
  recall(subscription: Subscription, crossing: Crossing, more: () => void): Recall;

  /** The session of a client ID, connected or away. */
  find(clientId: string): Session | undefined;
  /** A new session. */
  begin(clientId: string): Session;
  /** The session has ended for good: forget it and everything that waits for it. */
  end(session: Session): void;
  /** `done` when the disk has forgotten an ended session of this client, if it had one; with the fault if it could not. */
  whenForgotten(clientId: string, done: (fault: "stored" | "failed") => void): void;
  /** Calls back once. */
  after(afterMs: number, callback: () => void): void;
  /** Publishes the session's will, if it has one, after a delay, at the latest when the session ends. */
  scheduleWill(session: Session, delayS: number): void;
  cancelWill(session: Session): void;
  watchKeepAlive(session: Session, attendance: Attendance): void;
  unwatchKeepAlive(attendance: Attendance): void;
  /** A publish of an MQTT 3 client failed: closes its connection after a pause that grows while it tries again. */
  closeAfterPause(session: Session, attendance: Attendance): void;
  /** Writes the session as it is now; `done` when it is on disk, with the fault if it could not be stored. */
  save(session: Session, done: ((fault: "stored" | "failed") => void) | undefined): void;
  /** Attaches a queue subscription of a resumed session again, to a queue that is created for it if need be. */
  attach(attachment: Attachment): void;
  /** The consumer is gone: everything it has goes back to the queue. */
  detach(attachment: Attachment): void;

  /** A consumer acknowledged (or rejected) a message of a queue. */
  settle(attachment: Attachment, position: number, accepted: boolean): void;
  /**
   * A member whose session outlives its connection takes a QoS 2 message of a shared subscription over: into its own inbox, and when it is
   * on disk there, the subscription is done with it. False: no room now, the session is pumped again when there may be.
   */
  tryAdopt(attachment: Attachment, position: number, message: Region, offset: number, isRetain: boolean): boolean;
  /** The delivery of a message that was taken over is finished: there is room for another. */
  giveRoom(attachment: Attachment): void;
  /** A message of a queue that came too late to be sent: others take it. */
  decline(attachment: Attachment, position: number): void;
  /** What keeps this consumer from taking more, or null: read by the queue's worker before it chooses. */
  pause(attachment: Attachment, reason: "session_window_full" | "socket_full" | null): void;
}

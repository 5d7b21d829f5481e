/**
 * One client: its subscriptions, what waits for it, what is in flight both ways, and its connection while it has one.
 *
 * ```
 *   CONNECT ──► connected ──closed──► away ──CONNECT, same client ID──► connected
 *                   │                  └ expiry, clean start ─► ended
 *                   └ closed, expiry 0 ─► ended
 * ```
 *
 * The verbs live in files of their own: publish, deliver, acknowledge, subscribe, connect, disconnect.
 */
import type { Identity, Rights } from "../access/authorization.ts";
import type { Region } from "../base/region.ts";
import type { TimerEntry } from "../base/timer-wheel.ts";
import type { Will } from "../mqtt/packets.ts";
import type { AcknowledgementLine } from "./acknowledgement-line.ts";
import type { Attachment } from "./attachment.ts";
import { Belongings, willBytesOf } from "./belongings.ts";
import type { Crossing } from "./crossing.ts";
import type { EndedIdentifier } from "./identifiers.ts";
import { Inbound } from "./inbound.ts";
import { Inbox } from "./inbox.ts";
import { Outgoing } from "./outgoing.ts";
import type { ClientConnection, Recall, SessionHost, SessionStore } from "./ports.ts";
import type { Subscription } from "./subscription.ts";
import type { TopicAliases } from "./topic-aliases.ts";

/** The owner of an in-flight delivery that came from the session's inbox and not from a queue. */
export const FROM_INBOX = "inbox";
export type DeliveryOwner = typeof FROM_INBOX | Attachment;

/** A subscription that is to be given what is retained. */
export interface ToRecall {
  readonly subscription: Subscription;
  readonly crossing: Crossing;
}

/** What a session has only while it is connected. */
export interface Attendance {
  readonly connection: ClientConnection;
  readonly protocolLevel: number;
  /** See ConnectPacket. */
  readonly isBridge: boolean;
  readonly line: AcknowledgementLine;
  readonly origin: number;
  /** QoS 1 and 2 deliveries in flight at most: the client's Receive Maximum within ours. */
  readonly window: number;
  /** The client's Maximum Packet Size; Infinity = none. */
  readonly packetBytesMax: number;
  /** QoS 2 identifiers that earlier connections left unreleased: they do not count against the Receive Maximum of this one. */
  readonly unreleasedBefore: number;
  readonly keepAliveMs: number;
  /** The user it was proven to be; undefined when it proved none. */
  readonly user: string | undefined;
  readonly usernameBytes: Uint8Array;
  readonly peerBytes: Uint8Array;
  /** The topics of the client's aliases [MQTT-3.3.2-7]; they end with the connection. */
  readonly aliases: (Buffer | undefined)[];
  /** The aliases that the client is sent; undefined when it takes none [MQTT-3.1.2-27]. */
  readonly topicAliases: TopicAliases | undefined;
  lastReceivedMs: number;
  /** Bytes that had come when the connection was last found silent. */
  silentSinceBytes: number;
  /** Deliveries of an earlier connection that still have to be sent again, in order, by packet identifier. */
  resend: number[];
  /** Subscriptions that still have to be given their retained messages, and those that are being given them. */
  readonly toRecall: ToRecall[];
  readonly recalls: Recall[];
  /** Those of them for which nothing has come from elsewhere yet. */
  readonly waitingRecalls: Set<Recall>;
  /** Whose turn it was last to send: of retained messages, inbox and queues. */
  turn: number;
  keepAlive: TimerEntry | undefined;
  /** A PUBLISH for which there was no room: reading is paused until it is taken. */
  deferred: Region | undefined;
  /** CONNACK is written: before that nothing else is [MQTT-3.2.0-1]. */
  isGreeted: boolean;
  isClosing: boolean;
}

/** A will, and the MQTT version of the client that made it. */
export interface SessionWill extends Will {
  readonly protocolLevel: number;
  /** Whose rights it is published with; not there in what an older version has stored. */
  readonly sender?: { readonly user: string | null; readonly address: string };
}

export class Session {
  readonly clientId: string;
  readonly clientIdBytes: Buffer;
  readonly host: SessionHost;
  readonly outgoing: Outgoing<DeliveryOwner>;
  readonly inbox = new Inbox();
  readonly subscriptions = new Map<string, Subscription>();
  readonly attachments = new Set<Attachment>();
  readonly inbound = new Inbound();

  /** Its number in its partition's log, from 1; 0 for a session that ends with its connection. */
  target = 0;
  store: SessionStore | undefined = undefined;
  /** Seconds a session outlives its connection; Infinity = for ever. */
  expiryS = 0;
  /** When the connection ended, milliseconds since the epoch; 0 while connected. */
  awaySinceMs = 0;
  attendance: Attendance | undefined = undefined;
  readonly belongings = new Belongings();
  /** The user who made it: nobody else gets it by its client ID. Undefined: one who proved no name. */
  owner: string | undefined = undefined;
  /** Whose it is, as its last CONNECT has shown; undefined when that was before a restart. */
  identity: Identity | undefined = undefined;
  /** Under the rules in force; undefined when it may do everything, or nobody has connected since a restart. */
  rights: Rights | undefined = undefined;
  /** Messages of shared subscriptions that it is taking over: each is going to take a place in its window. */
  adopting = 0;
  /** Any of its subscriptions has an identifier, or had: deliveries must look for it. */
  hasIdentifiers = false;
  /** Of subscriptions made again or gone, while messages that they matched may wait. */
  endedIdentifiers: EndedIdentifier[] | undefined = undefined;

  #will: SessionWill | undefined = undefined;

  /** The partition that its client ID hashes to. */
  readonly homePartition: number;

  constructor(clientId: string, homePartition: number, host: SessionHost, lastPacketId: number) {
    this.homePartition = homePartition;
    this.clientId = clientId;
    this.clientIdBytes = Buffer.from(clientId);
    this.host = host;
    this.outgoing = new Outgoing(lastPacketId);
  }

  /** Whether it outlives its connection: its QoS 1 and 2 messages are then stored. */
  get isDurable(): boolean {
    return this.target !== 0;
  }

  /** Until it is published or taken back, also while the client is away and the will's delay has not passed. */
  get will(): SessionWill | undefined {
    return this.#will;
  }

  set will(will: SessionWill | undefined) {
    this.belongings.add(willBytesOf(will) - willBytesOf(this.#will));
    this.#will = will;
  }

  get isConnected(): boolean {
    return this.attendance !== undefined && !this.attendance.isClosing;
  }

  /** The attendance that deliveries go to; undefined while there is none, or it is not greeted yet, or is closing. */
  get audience(): Attendance | undefined {
    const { attendance } = this;
    return attendance?.isGreeted === true && !attendance.isClosing ? attendance : undefined;
  }
}

/**
 * The border between workers: every frame that crosses a ring, its sender, its reader and its body. Little endian;
 * a frame's body starts 8-byte aligned. Frames exist only while the process does: no version.
 *
 * | kind | from → to | meaning |
 * |---|---|---|
 * | PUBLISH | publisher's worker → a worker with matching subscribers or queues | route this message to your own |
 * | STORED | that worker → publisher's worker | what you sent is on disk here (or is refused) |
 * | DELIVER | queue's worker → consumer's worker | hand this message to your consumer |
 * | SETTLE | consumer's worker → queue's worker | the consumer acknowledged or rejected |
 * | ATTACH | consumer's worker → queue's worker | a consumer wants messages of a queue |
 * | DETACH | consumer's worker → queue's worker | it is gone, or takes nothing more |
 * | ROUTE | a worker → every other | whether I have anyone for this filter |
 * | ROUTED | the other → that worker | applied |
 * | RECALL | subscriber's worker → every other | which retained messages match this filter? · so many more · no more |
 * | RECALLED | the other → subscriber's worker | one of them, that it has looked, or the end |
 * | RELEASE | publisher's worker → every other | a QoS 2 identifier was released: forget it |
 * | JOIN | member's worker → shared subscription's worker | a session has this shared subscription |
 * | JOINED | that worker → member's worker | it is routed to |
 * | LEAVE | member's worker → shared subscription's worker | the session has it no more |
 * | ADOPTED | member's worker → shared subscription's worker | its sessions have taken over what it settled before this: say when that is on disk |
 * | FORGOTTEN | that worker → member's worker | it is |
 * | CHUNK | any | a part of a frame too large for one record |
 */
import type { Region } from "../base/region.ts";

export const PUBLISH = 1;
export const STORED = 2;
export const DELIVER = 3;
export const SETTLE = 4;
export const ATTACH = 5;
export const DETACH = 6;
export const ROUTE = 7;
export const ROUTED = 8;
export const RECALL = 9;
export const RECALLED = 10;
export const RELEASE = 11;
export const JOIN = 12;
export const JOINED = 13;
export const LEAVE = 14;
export const ADOPTED = 15;
export const FORGOTTEN = 16;
export const CHUNK = 17;

/**
 * PUBLISH: `origin u32 · sequence u32 · flags u32 · packet identifier u32 · message`, and behind a retained message its mark.
 * STORED answers with the same origin and sequence when ANSWER_WANTED is set.
 */
export const PUBLISH_HEADER_BYTES = 16;
/** The publisher waits for STORED before it acknowledges. */
export const ANSWER_WANTED = 1;
/** QoS 2 of a session that outlives its connection: the identifier is kept with the message. */
export const EXACTLY_ONCE = 2;
/** The PUBLISH came before, or may have: ask the kept identifiers first. */
export const MAY_BE_KNOWN = 4;
/** Everybody was given it while this process runs: it is for those who store it and do not know it. */
export const ROUTED_BEFORE = 8;

export function writePublishHeader(
  region: Region,
  offset: number,
  origin: number,
  sequence: number,
  flags: number,
  packetId: number,
): void {
  const { view } = region;
  view.setUint32(offset, origin, true);
  view.setUint32(offset + 4, sequence, true);
  view.setUint32(offset + 8, flags, true);
  view.setUint32(offset + 12, packetId, true);
}

/** STORED: `origin u32 · sequence u32 · reason u32`. */
export const STORED_BYTES = 12;

export function writeStored(region: Region, offset: number, origin: number, sequence: number, reason: number): void {
  const { view } = region;
  view.setUint32(offset, origin, true);
  view.setUint32(offset + 4, sequence, true);
  view.setUint32(offset + 8, reason, true);
}

/** The position of a DELIVER of QoS 0 that nobody keeps: it is neither counted nor settled. */
export const PASSED = -2;

/** DELIVER: `slot u32 · generation u32 · position f64 · redelivered u32 · 0 u32 · message`. */
export const DELIVER_HEADER_BYTES = 24;

export function writeDeliverHeader(
  region: Region,
  offset: number,
  slot: number,
  generation: number,
  position: number,
  redelivered: boolean,
): void {
  const { view } = region;
  view.setUint32(offset, slot, true);
  view.setUint32(offset + 4, generation, true);
  view.setFloat64(offset + 8, position, true);
  view.setUint32(offset + 16, redelivered ? 1 : 0, true);
  view.setUint32(offset + 20, 0, true);
}

/** SETTLE: `slot u32 · generation u32 · position f64 · accepted u32`. */
export const SETTLE_BYTES = 20;

export function writeSettle(
  region: Region,
  offset: number,
  slot: number,
  generation: number,
  position: number,
  accepted: boolean,
): void {
  const { view } = region;
  view.setUint32(offset, slot, true);
  view.setUint32(offset + 4, generation, true);
  view.setFloat64(offset + 8, position, true);
  view.setUint32(offset + 16, accepted ? 1 : 0, true);
}

/** The bodies of the rare frames are structured values; these are their shapes. */
export interface AttachBody {
  readonly slot: number;
  readonly generation: number;
  readonly partition: number;
  /** The queue's number in its partition. */
  readonly target: number;
  /** Of a shared subscription: its filter, `$share/<group>/<filter>`; `target` is 0 then. */
  readonly group?: string;
  readonly clientId: string;
  readonly qos: 0 | 1 | 2;
  readonly receiveMaximum: number;
  readonly packetBytesMax: number;
  readonly subscriptionIdentifierBytes: number;
}

export interface DetachBody {
  readonly slot: number;
  readonly generation: number;
  /** False: unsubscribed, what is in flight stays with the consumer. True: gone, everything goes back. */
  readonly gone: boolean;
}

/** JOIN: a session has this shared subscription, or has it with other options. Answered by JOINED with the same token. */
export interface JoinBody extends ShareMember {
  readonly token: number;
}

/** One member of a shared subscription. */
export interface ShareMember {
  /** `$share/<group>/<filter>`. */
  readonly filter: string;
  readonly clientId: string;
  readonly qos: 0 | 1 | 2;
  /** Its session outlives its connection. */
  readonly isDurable: boolean;
}

/** The shared subscription is routed to: what is published from now on is its. */
export interface JoinedBody {
  readonly token: number;
}

export interface LeaveBody {
  readonly filter: string;
  readonly clientId: string;
}

/** ADOPTED: of shared subscriptions in this partition. Answered by FORGOTTEN with the same token. */
export interface AdoptedBody {
  readonly partition: number;
  readonly token: number;
}

export interface ForgottenBody {
  readonly token: number;
}

/** What a worker has for a filter: nothing, only what dies with its connection, something that is stored. */
export type RouteState = 0 | 1 | 2;
export const ROUTE_NONE: RouteState = 0;
export const ROUTE_VOLATILE: RouteState = 1;
export const ROUTE_DURABLE: RouteState = 2;

export interface RouteBody {
  readonly filter: string;
  readonly state: RouteState;
  /** Answered by ROUTED with the same token. */
  readonly token: number;
}

export interface RoutedBody {
  readonly token: number;
  /** How many retained messages that worker has published, by the home of their topics. */
  readonly published: readonly number[];
}

/** First with a filter; then again with the same token for more, with a topic to look at once more, or with window 0 to be given no more. */
export interface RecallBody {
  readonly token: number;
  readonly filter?: string;
  readonly again?: AgainBody;
  /** With a filter or a topic: what of every worker's retained publishes for this home has to be taken first. */
  readonly after?: readonly number[];
  /** How many messages more may be sent. */
  readonly window: number;
}

/** A topic whose retained message came when a newer one may have been published already; `id` tells the questions apart. */
export interface AgainBody {
  readonly topic: string;
  readonly id: number;
}

export interface RecalledBody {
  readonly token: number;
  /** The first look is over, and there may be more. */
  readonly isOpen?: true;
  /** The answer for one topic; there is no message any more when it is absent. */
  readonly again?: AgainBody;
  /** A retained message in the one layout, with its mark if it has one; absent in the last frame and in one that says `isOpen`. */
  readonly message?: Uint8Array;
  /** With a message: what of every worker's retained publishes had been taken when it was looked at. */
  readonly taken?: readonly number[];
}

/** RELEASE is answered by STORED with this origin and sequence. */
export interface ReleaseBody {
  readonly origin: number;
  readonly sequence: number;
  readonly clientId: string;
  readonly packetId: number;
}

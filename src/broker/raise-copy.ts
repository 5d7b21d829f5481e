/**
 * Copies sessions and retained messages to their new homes; the originals stay as they are.
 *
 * ```
 *   per old partition:  sessions ─► records under a new target ┐
 *                       messages, in order of position ────────┼─► destinations: gather until full, commit, go on
 *                       in-flight positions, retained, inbound ┘
 * ```
 */
import { assert } from "../base/assert.ts";
import { homePartitionOf } from "../base/hash.ts";
import { Region } from "../base/region.ts";
import { decodeStructured } from "../base/structured.ts";
import { totalBytes } from "../frame/message.ts";
import { batchOf, type MessageLocation, NO_ROOM, type Table } from "../log/contract.ts";
import type { QueueRecord } from "../queue/definition.ts";
import { IN_MEMORY } from "../session/inbox.ts";
import {
  decodeOutbound,
  decodeSession,
  encodeOutbound,
  encodeSession,
  type OutboundRecord,
  packetKeyOf,
  parsePacketKey,
  type SessionRecord,
} from "../worker/session-record.ts";
import { MovingRecords } from "./moving-records.ts";
import { OpenPartition } from "./open-partition.ts";
import { copyInbound } from "./raise-inbound.ts";
import { type Raise, syncPartitions } from "./raise-marker.ts";
import type { RaiseBounds } from "./raise-partitions.ts";

/** What was copied. */
export interface Moved {
  sessions: number;
  records: number;
  /** Records whose message is damaged on disk: they cannot be moved. */
  damaged: number;
  retained: number;
}

/** A session on its way. */
interface MovingSession {
  readonly record: SessionRecord;
  readonly to: Place;
  /** Its number there. */
  readonly target: number;
  /** Its QoS 2 deliveries in flight, by identifier. */
  readonly outbound: ReadonlyMap<number, OutboundRecord>;
  /** Of all its deliveries in flight: position here → there. */
  readonly inFlight: Map<number, number>;
}

/** One partition while the raise lasts. */
interface Place {
  readonly partition: OpenPartition;
  /** Targets up to this are taken. */
  lastTarget: number;
  /** By target. Of old partitions. */
  readonly leaving: Map<number, SessionRecord>;
  readonly records: MovingRecords;
  /** Keyed values put and not yet committed. */
  putBytes: number;
}

/** Everything is on disk in its new home when it returns. Throws StoreFault. */
export async function copyToNewHomes(dataDirectory: string, raise: Raise, bounds: RaiseBounds): Promise<Moved> {
  const partitions: OpenPartition[] = [];
  const moved: Moved = { sessions: 0, records: 0, damaged: 0, retained: 0 };
  try {
    for (let number = 0; number < raise.to; number += 1) partitions.push(new OpenPartition(dataDirectory, number));
    const places = partitions.map((partition) => placeOf(partition, raise));
    for (const from of places.slice(0, raise.from)) await new Departure(from, places, raise, bounds, moved).run();
    await copyInbound(partitions, raise, bounds.batchBytes);
  } finally {
    await Promise.all(partitions.map((partition) => partition.close()));
  }
  syncPartitions(dataDirectory, raise);
  return moved;
}

function placeOf(partition: OpenPartition, raise: Raise): Place {
  const { log, number } = partition;
  const place: Place = { partition, lastTarget: 0, leaving: new Map(), records: new MovingRecords(), putBytes: 0 };
  const note = (target: number): void => {
    place.lastTarget = Math.max(place.lastTarget, target);
  };
  log.entries("queues", (_name, bytes) => note(decodeStructured<QueueRecord>(bytes).target));
  log.entries("sessions", (clientId, bytes) => {
    const record = decodeSession(bytes);
    note(record.target);
    if (homePartitionOf(clientId, raise.to) !== number) place.leaving.set(record.target, record);
  });
  log.recover((record) => {
    note(record.target); // Also those that belong to nobody any more.
    if (place.leaving.has(record.target)) place.records.push(record);
  });
  return place;
}

/** Everything that leaves one partition. */
class Departure {
  readonly #from: Place;
  readonly #places: readonly Place[];
  readonly #raise: Raise;
  readonly #bounds: RaiseBounds;
  readonly #moved: Moved;
  readonly #sessions = new Map<number, MovingSession>();
  readonly #found: MessageLocation = { region: Region.allocate(0), offset: 0 };
  /** Where the message that was read last has been staged: the records of one message follow each other. */
  readonly #staged = new Map<Place, number>();
  #stagedBatch = -1;
  #stagedOffset = -1;

  constructor(from: Place, places: readonly Place[], raise: Raise, bounds: RaiseBounds, moved: Moved) {
    this.#from = from;
    this.#places = places;
    this.#raise = raise;
    this.#bounds = bounds;
    this.#moved = moved;
  }

  async run(): Promise<void> {
    await this.#announceSessions();
    await this.#copyRecords();
    await this.#translateInFlight();
    await this.#copyRetained();
    await Promise.all(this.#places.map((place) => this.#commit(place)));
  }

  /** The sessions' records, before any message of theirs: a sweep must find out whose those are. */
  async #announceSessions(): Promise<void> {
    const outbound = this.#outbound();
    for (const [target, record] of this.#from.leaving) {
      const to = this.#placeOf(record.clientId);
      to.lastTarget += 1;
      const session: MovingSession = {
        record,
        to,
        target: to.lastTarget,
        outbound: outbound.get(record.clientId) ?? NOTHING,
        inFlight: new Map(),
      };
      for (const [, , position] of record.inFlight) session.inFlight.set(position, IN_MEMORY);
      for (const { position } of session.outbound.values()) session.inFlight.set(position, IN_MEMORY);
      this.#sessions.set(target, session);
      await this.#putSession(session, []);
    }
    this.#moved.sessions += this.#sessions.size;
  }

  /** The QoS 2 deliveries of the sessions that leave, by client ID and identifier. */
  #outbound(): Map<string, Map<number, OutboundRecord>> {
    const { number, log } = this.#from.partition;
    const byClient = new Map<string, Map<number, OutboundRecord>>();
    log.entries("outbound", (key, bytes) => {
      const { clientId, packetId } = parsePacketKey(key);
      if (homePartitionOf(clientId, this.#raise.to) === number) return;
      const own = byClient.get(clientId);
      if (own === undefined) byClient.set(clientId, new Map([[packetId, decodeOutbound(bytes)]]));
      else own.set(packetId, decodeOutbound(bytes));
    });
    return byClient;
  }

  async #copyRecords(): Promise<void> {
    const { records } = this.#from;
    for (let index = 0; index < records.length; index += 1) {
      const session = this.#sessions.get(records.targetAt(index))!;
      let position = this.#copy(index, session);
      if (position === NO_ROOM) {
        await this.#commit(session.to);
        position = this.#copy(index, session);
        assert(position !== NO_ROOM, "an empty batch takes any message");
      }
      if (position === undefined) {
        this.#moved.damaged += 1;
        continue;
      }
      this.#moved.records += 1;
      const before = records.positionAt(index);
      if (session.inFlight.has(before)) session.inFlight.set(before, position);
      if (session.to.partition.log.gatheringBytes >= this.#bounds.batchBytes) await this.#commit(session.to);
    }
  }

  /** Copies one record: its new position, NO_ROOM, or undefined when its message is damaged. */
  #copy(index: number, { to, target }: MovingSession): number | undefined {
    const { records, partition } = this.#from;
    const position = records.positionAt(index);
    const result = partition.log.read(position, this.#found);
    assert(result !== "gone", "a record that recovery has shown is live");
    if (result === "damaged") return undefined;
    const { region, offset } = this.#found;
    if (offset !== this.#stagedOffset || batchOf(position) !== this.#stagedBatch) {
      this.#staged.clear();
      this.#stagedBatch = batchOf(position);
      this.#stagedOffset = offset;
    }
    const { log } = to.partition;
    const staged = this.#staged.get(to) ?? log.stage(region, offset, totalBytes(region, offset));
    if (staged === NO_ROOM) return NO_ROOM;
    this.#staged.set(to, staged);
    const high = records.keyHashHighAt(index); // Of an adopted record: where it comes from, see worker/provenance.ts.
    const low = records.keyHashLowAt(index);
    return log.add(target, staged, records.flagsAt(index), records.expiresAtMsAt(index), high, low);
  }

  /** What is in flight without a message (PUBREL is owed) stands for no position; see `Outgoing`. */
  async #translateInFlight(): Promise<void> {
    for (const session of this.#sessions.values()) {
      const { record, inFlight, outbound, to } = session;
      for (const [packetId, { state, flags, position }] of outbound) {
        const value = encodeOutbound(state, flags, inFlight.get(position)!);
        await this.#put(to, "outbound", packetKeyOf(record.clientId, packetId), value);
      }
      if (record.inFlight.length === 0) continue;
      const translated = record.inFlight.map(
        ([packetId, state, position]) => [packetId, state, inFlight.get(position)!] as const,
      );
      await this.#putSession(session, translated);
    }
  }

  async #putSession({ record, to, target }: MovingSession, inFlight: SessionRecord["inFlight"]): Promise<void> {
    await this.#put(to, "sessions", record.clientId, encodeSession({ ...record, target, inFlight }));
  }

  /** In passes of bounded bytes, because a table is visited in one go. */
  async #copyRetained(): Promise<void> {
    for (let done = 0, isMore = true; isMore; ) {
      const copies = this.#retainedAfter(done);
      for (const [topic, value] of copies) await this.#put(this.#placeOf(topic), "retained", topic, value);
      done += copies.length;
      isMore = copies.length > 0;
      this.#moved.retained += copies.length;
    }
  }

  /** The retained messages that leave, without the first `done`, as many as one pass takes. */
  #retainedAfter(done: number): (readonly [string, Buffer])[] {
    const { number, log } = this.#from.partition;
    const copies: (readonly [string, Buffer])[] = [];
    let seen = 0;
    let bytes = 0;
    log.entries("retained", (topic, value) => {
      if (bytes >= this.#bounds.retainedBytes || homePartitionOf(topic, this.#raise.to) === number) return;
      seen += 1;
      if (seen <= done) return;
      copies.push([topic, value]);
      bytes += topic.length + value.length;
    });
    return copies;
  }

  async #put(to: Place, table: Table, key: string, value: Uint8Array): Promise<void> {
    to.partition.log.put(table, key, value);
    to.putBytes += key.length + value.length;
    if (to.putBytes >= this.#bounds.batchBytes) await this.#commit(to);
  }

  async #commit(place: Place): Promise<void> {
    place.putBytes = 0;
    await place.partition.commit();
    this.#stagedBatch = -1; // Handles end with their batch; and a rewrite may have moved the message that was read last.
  }

  #placeOf(name: string): Place {
    return this.#places[homePartitionOf(name, this.#raise.to)]!;
  }
}

const NOTHING: ReadonlyMap<number, OutboundRecord> = new Map();

/** A store as a plain value: what a client or a queue's consumer could find in it, wherever it lies. Building one, reading one. */
import { createHash } from "node:crypto";
import { homePartitionOf } from "../../src/base/hash.ts";
import type { Region } from "../../src/base/region.ts";
import { decodeStructured, encodeStructured } from "../../src/base/structured.ts";
import { NO_ROOM, type PartitionLog, type RecordSummary } from "../../src/log/contract.ts";
import { openPartitionLog } from "../../src/log/partition-log.ts";
import { openStore, partitionDirectoryOf, readStoreDescriptor } from "../../src/log/partitions.ts";
import {
  decodeOutbound,
  decodeSession,
  encodeOutbound,
  encodeSession,
  packetKeyOf,
  parsePacketKey,
} from "../../src/worker/session-record.ts";
import { commit, MERGE_ALL, messageOf, Recorder, readMessage } from "../log/messages.ts";

export interface SessionModel {
  /** The record without what belongs to a partition. */
  readonly record: string;
  /** Waiting and in flight, in order: bytes, flags, expiry, and where they come from. */
  readonly messages: readonly string[];
  /** Packet identifier, state, and which of `messages` it stands for; -1 = none. */
  readonly inFlight: readonly (readonly [number, number, number])[];
  /** QoS 2 deliveries: packet identifier, state, flags, and which of `messages`. */
  readonly outbound: readonly (readonly [number, number, number, number])[];
  /** QoS 2 identifiers known in the session's home. */
  readonly inbound: readonly number[];
}

export interface StoreModel {
  readonly sessions: Readonly<Record<string, SessionModel>>;
  readonly retained: Readonly<Record<string, string>>;
  readonly queues: Readonly<Record<string, { readonly partition: number; readonly messages: readonly string[] }>>;
}

export interface Shape {
  readonly partitions: number;
  /** Messages of each session. */
  readonly sessions: readonly number[];
  readonly payloadBytes: number;
  readonly retained: number;
  readonly retainedBytes: number;
}

const RELEASED = 3;
const SENT_QOS1 = 1;
const SENT_QOS2 = 2;

/**
 * Makes a store with sessions, a queue in every partition, retained messages and QoS 2 identifiers; neighbouring batches are merged. How
 * often that happened.
 */
export async function buildStore(directory: string, shape: Shape, random: () => number): Promise<number> {
  openStore(directory, shape.partitions);
  let merges = 0;
  for (let number = 0; number < shape.partitions; number += 1) {
    const events = new Recorder();
    const log = openPartitionLog({
      directory: partitionDirectoryOf(directory, number),
      partition: number,
      events,
      merge: MERGE_ALL,
    });
    await fill(log, number, shape, random, () => commit(log, events));
    merges += log.stats().merges;
    await log.close();
  }
  return merges;
}

async function fill(
  log: PartitionLog,
  number: number,
  shape: Shape,
  random: () => number,
  store: () => Promise<void>,
): Promise<void> {
  const { partitions } = shape;
  // Of everything named, each partition makes its own share.
  const sessions = shape.sessions
    .map((messages, index) => ({ clientId: `client ${index} ü`, target: 100 + index * 3, left: messages }))
    .filter(({ clientId }) => homePartitionOf(clientId, partitions) === number);
  const positions = new Map<number, number[]>();
  // The next number that a session would get which comes here.
  const queueTarget = 1 + Math.max(0, ...sessions.map(({ target }) => target));
  const definition = { name: `queue ${number}` };
  log.put(
    "queues",
    definition.name,
    encodeStructured({ definition, partition: number, target: queueTarget, createdAtMs: 1 }),
  );
  const add = async (message: Region, targets: readonly number[]): Promise<void> => {
    let staged = log.stage(message, 0, message.bytes.length);
    if (staged === NO_ROOM) {
      await store();
      staged = log.stage(message, 0, message.bytes.length);
    }
    for (const target of targets) {
      const flags = Math.floor(random() * 8);
      const [high, low] = random() < 0.7 ? [0, 0] : [Math.floor(random() * 2 ** 32), Math.floor(random() * 2 ** 32)];
      const position = log.add(target, staged, flags, random() < 0.5 ? 0 : 1e12 + flags, high, low);
      const own = positions.get(target);
      if (own === undefined) positions.set(target, [position]);
      else own.push(position);
    }
  };
  // A position that is nobody's here, and will be somebody's in a partition that is filled from its first position on.
  await add(messageOf(number), [99]);
  const settled = positions.get(99)![0]!;
  log.settle(settled);
  let messageNumber = number * 1_000_000;
  for (let busy = sessions; busy.length > 0; busy = busy.filter(({ left }) => left > 0)) {
    for (const session of busy) {
      if (session.left === 0) continue;
      const others = busy.filter((other) => other !== session && other.left > 0 && random() < 0.2);
      const takers = [session, ...others];
      for (const taker of takers) taker.left -= 1;
      messageNumber += 1;
      const targets = takers.map(({ target }) => target);
      if (random() < 0.1) targets.push(queueTarget);
      await add(messageOf(messageNumber, Math.floor(random() * 2 * shape.payloadBytes)), targets);
      if (random() < 0.02) await store();
    }
  }
  for (let count = 0; count < 5; count += 1) await add(messageOf(messageNumber + 1 + count, 10), [queueTarget]);

  for (const { clientId, target } of sessions) {
    const own = positions.get(target) ?? [];
    for (const position of own.splice(0, Math.floor(random() * 3))) log.settle(position);
    const sent = own
      .slice(-500)
      .filter(() => random() < 0.1)
      .map((position, index) => [index + 10, SENT_QOS1, position] as const);
    const [acknowledged, exactly] = [
      sent.filter((_, index) => index % 2 === 0),
      sent.filter((_, index) => index % 2 === 1),
    ];
    const inFlight = [...acknowledged, [7, SENT_QOS1, random() < 0.5 ? -1 : settled] as const];
    for (const [packetId, , position] of exactly) {
      log.put("outbound", packetKeyOf(clientId, packetId), encodeOutbound(SENT_QOS2, packetId % 8, position));
    }
    log.put("outbound", packetKeyOf(clientId, 8), encodeOutbound(RELEASED, 6, random() < 0.5 ? -1 : settled));
    const options = { qos: 1, noLocal: false, retainAsPublished: true, retainHandling: 0, identifier: 3 } as const;
    const subscriptions = [[`a/${clientId}/#`, options] as const];
    const lastPacketId = 1 + Math.floor(random() * 65_535);
    const record = {
      version: 3,
      clientId,
      target,
      expiryS: null,
      awaySinceMs: 5,
      lastPacketId,
      subscriptions,
      inFlight,
      will: null,
      user: random() < 0.5 ? null : "owner",
    };
    log.put("sessions", clientId, encodeSession(record as Parameters<typeof encodeSession>[0]));
    if (random() < 0.5) log.put("inbound", packetKeyOf(clientId, 1 + Math.floor(random() * 9)), Buffer.alloc(1));
  }
  log.put("inbound", packetKeyOf(`stranger ${number}`, 4), Buffer.alloc(1));
  for (let index = 0; index < shape.retained; index += 1) {
    const topic = index === 0 ? `long/${"x".repeat(3_000)}` : `topic/${index}`;
    if (homePartitionOf(topic, partitions) === number) {
      log.put("retained", topic, messageOf(index, Math.floor(shape.retainedBytes * (0.5 + random()))).bytes);
    }
    if (index % 16 === 15) await store();
  }
  await store();
}

/** Reads a store, and throws when anything lies where nobody would find it, or twice, or is damaged. */
export async function readStore(directory: string): Promise<{ partitions: number; model: StoreModel }> {
  const { partitions } = readStoreDescriptor(directory)!;
  const sessions: Record<string, SessionModel> = {};
  const retained: Record<string, string> = {};
  const queues: Record<string, { partition: number; messages: string[] }> = {};
  for (let number = 0; number < partitions; number += 1) {
    const log = openPartitionLog({
      directory: partitionDirectoryOf(directory, number),
      partition: number,
      events: new Recorder(),
    });
    const owners = new Map<number, { positions: number[]; messages: string[] }>();
    const owner = (target: number): { positions: number[]; messages: string[] } => {
      if (owners.has(target)) throw new Error(`target ${target} of partition ${number} has two owners`);
      const made = { positions: [], messages: [] };
      owners.set(target, made);
      return made;
    };
    log.entries("queues", (name, bytes) => {
      const { target, partition } = decodeStructured<{ target: number; partition: number }>(bytes);
      if (partition !== number) throw new Error(`${name} is in partition ${number}`);
      queues[name] = { partition, messages: owner(target).messages };
    });
    const found: [string, ReturnType<typeof decodeSession>, { positions: number[]; messages: string[] }][] = [];
    log.entries("sessions", (clientId, bytes) => {
      if (homePartitionOf(clientId, partitions) !== number) throw new Error(`${clientId} is in partition ${number}`);
      const record = decodeSession(bytes);
      found.push([clientId, record, owner(record.target)]);
    });
    log.entries("retained", (topic, value) => {
      if (homePartitionOf(topic, partitions) !== number) throw new Error(`${topic} is in partition ${number}`);
      retained[topic] = digest(value);
    });
    const inbound = new Map<string, number[]>();
    log.entries("inbound", (key) => {
      const { clientId, packetId } = parsePacketKey(key);
      inbound.set(clientId, [...(inbound.get(clientId) ?? []), packetId]);
    });
    const outbound = new Map<string, [number, number, number, number][]>();
    log.entries("outbound", (key, bytes) => {
      const { clientId, packetId } = parsePacketKey(key);
      if (homePartitionOf(clientId, partitions) !== number) throw new Error(`${key} is in partition ${number}`);
      const { state, flags, position } = decodeOutbound(bytes);
      outbound.set(clientId, [...(outbound.get(clientId) ?? []), [packetId, state, flags, position]]);
    });
    const live: RecordSummary[] = [];
    log.recover((record) => live.push({ ...record }));
    for (const { position, target, flags, expiresAtMs, keyHashHigh, keyHashLow } of live) {
      const of = owners.get(target);
      if (of === undefined) throw new Error(`a record of nobody in partition ${number}: target ${target}`);
      of.positions.push(position);
      of.messages.push(
        `${digest(readMessage(log, position) as Buffer)} ${flags} ${expiresAtMs} ${keyHashHigh} ${keyHashLow}`,
      );
    }
    const isLive = new Set(live.map(({ position }) => position));
    for (const [clientId, { target: _target, inFlight, ...record }, { positions, messages }] of found) {
      const exactly = outbound.get(clientId) ?? [];
      for (const position of [...inFlight.map(([, , at]) => at), ...exactly.map(([, , , at]) => at)]) {
        if (isLive.has(position) && !positions.includes(position)) throw new Error(`${clientId} has another's message`);
      }
      sessions[clientId] = {
        record: JSON.stringify(record),
        messages,
        inFlight: inFlight.map(([packetId, state, position]) => [packetId, state, positions.indexOf(position)]),
        outbound: exactly.map(([packetId, state, flags, position]) => [
          packetId,
          state,
          flags,
          positions.indexOf(position),
        ]),
        inbound: inbound.get(clientId) ?? [],
      };
    }
    if (log.stats().damageCount > 0) throw new Error(JSON.stringify(log.stats().damage));
    await log.close();
  }
  return { partitions, model: { sessions, retained, queues } };
}

const digest = (bytes: Buffer): string => createHash("sha1").update(bytes).digest("base64");

/**
 * A look into a queue for its operator, in steps between which the worker takes its turns.
 *
 * ```
 *   positions behind the cursor ─► each read, as far as limit and bytes allow ─► one more found? hasNext
 *             ▲                        │ a step's worth                            │ no more positions, others may wait
 *             └────────────────────────┴── turn ◄──────────────────────────────────┘
 * ```
 */
import { setImmediate } from "node:timers/promises";
import {
  LOOK_BATCHES_PER_TURN,
  LOOK_BYTES_PER_TURN,
  LOOK_MESSAGES_PER_TURN,
  SWEEP_SLOTS_PER_STEP,
} from "../base/limits.ts";
import { Region } from "../base/region.ts";
import {
  clientIdOf,
  expiresAtMsOf,
  payloadBytesOf,
  payloadOffset,
  propertiesBytesOf,
  propertiesOffset,
  publishedAtMsOf,
  qosOf,
  topicOf,
  totalBytes,
} from "../frame/message.ts";
import { batchOf, type Position } from "../log/contract.ts";
import { decodePublishProperties } from "../mqtt/publish-properties.ts";
import type { LookedAt } from "../queue/look.ts";
import type { Queue } from "../queue/queue.ts";
import type { LookCommand, QueueLook, WaitingMessage } from "./commands.ts";

/** `queueNow` throws when the queue is gone. */
export async function lookIntoQueue(command: LookCommand, queueNow: () => Queue, nowMs: number): Promise<QueueLook> {
  const { limit, bytesMax, withPayload } = command;
  const messages: WaitingMessage[] = [];
  const seen: LookedAt = { attempts: 0, key: undefined, region: Region.allocate(0), offset: 0 };
  const step = new Step();
  let { after } = command;
  let bytesLeft = bytesMax;
  let damaged = 0;
  for (;;) {
    const wanted = limit + 1 - messages.length; // One more than the page holds says whether there is a next one.
    const search = queueNow().searchBehind(after, wanted);
    while (!search.step(SWEEP_SLOTS_PER_STEP)) {
      await setImmediate();
      queueNow();
    }
    const positions = search.positions();
    for (const position of positions) {
      if (!step.takes(position)) {
        await setImmediate();
        step.begin(position);
      }
      const found = queueNow().lookAt(position, nowMs, seen);
      if (found === "damaged") damaged += 1;
      if (found !== "found") continue;
      const stored = totalBytes(seen.region, seen.offset);
      const shown = stored - (withPayload ? 0 : payloadBytesOf(seen.region, seen.offset));
      const bytes = shown + (seen.key?.length ?? 0); // A payload may be the key.
      const isFull = messages.length === limit || (messages.length > 0 && bytes > bytesLeft);
      if (isFull) return { messages, hasNext: true, damaged };
      messages.push(waitingMessageOf(position, seen, withPayload && bytes <= bytesLeft));
      bytesLeft -= bytes;
      step.bytes += stored; // Its key may have been computed from all of it.
    }
    if (positions.length < wanted) return { messages, hasNext: false, damaged };
    after = positions.at(-1)!;
  }
}

/** What is done between two turns. */
class Step {
  bytes = 0;
  #messages = 0;
  #batches = 0;
  #batch = 0;

  /** Counts a message; false when it is for the next step. */
  takes(position: Position): boolean {
    const batch = batchOf(position);
    if (batch !== this.#batch) this.#batches += 1;
    this.#batch = batch;
    this.#messages += 1;
    const isWithin = this.#messages <= LOOK_MESSAGES_PER_TURN && this.#batches <= LOOK_BATCHES_PER_TURN;
    return isWithin && this.bytes < LOOK_BYTES_PER_TURN;
  }

  begin(position: Position): void {
    this.bytes = 0;
    this.#messages = 1;
    this.#batches = 1;
    this.#batch = batchOf(position);
  }
}

/** A copy of what was shown. */
function waitingMessageOf(position: Position, seen: LookedAt, withPayload: boolean): WaitingMessage {
  const { region, offset, attempts, key } = seen;
  const publishedAtMs = publishedAtMsOf(region, offset);
  const expiresAtMs = expiresAtMsOf(region, offset);
  const payloadAt = payloadOffset(region, offset);
  return {
    position,
    topic: topicOf(region, offset),
    qos: qosOf(region, offset),
    publishedAtMs,
    clientId: clientIdOf(region, offset),
    attempts,
    key,
    properties: decodePublishProperties(
      region.bytes,
      propertiesOffset(region, offset),
      propertiesBytesOf(region, offset),
    ),
    messageExpiryIntervalS: expiresAtMs === 0 ? undefined : Math.round((expiresAtMs - publishedAtMs) / 1000),
    payload: withPayload
      ? Uint8Array.from(region.bytes.subarray(payloadAt, payloadAt + payloadBytesOf(region, offset)))
      : undefined,
  };
}

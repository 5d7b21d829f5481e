/** Messages, events and directories for the tests of the log. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Region } from "../../src/base/region.ts";
import { MESSAGE_HEADER_BYTES, payloadOffset, totalBytes, writeMessageHeader } from "../../src/frame/message.ts";
import type { CommitFault, Damage, LogEvents, MessageLocation, PartitionLog } from "../../src/log/contract.ts";
import { NO_ROOM } from "../../src/log/contract.ts";
import type { MergeBounds } from "../../src/log/merger.ts";

/** Two neighbours are merged as soon as they are there. */
export const MERGE_ALL: MergeBounds = { smallBytes: 1_000_000, mergedBytes: 1, batchesMin: 2 };

/** A message in the one layout, with a payload of `payloadBytes` bytes that only this number gives. */
export function messageOf(number: number, payloadBytes = 40): Region {
  const parts = { topicBytes: 1, propertiesBytes: 0, payloadBytes, clientIdBytes: 0, usernameBytes: 0, peerBytes: 0 };
  const region = Region.allocate(MESSAGE_HEADER_BYTES + 1 + payloadBytes);
  writeMessageHeader(region, 0, parts, 1, false, 4, number, 0);
  region.bytes[MESSAGE_HEADER_BYTES] = 0x74;
  const payload = payloadOffset(region, 0);
  for (let index = 0; index < payloadBytes; index += 1)
    region.bytes[payload + index] = (number * 31 + index * 7) & 0xff;
  return region;
}

/** A position's message as a copy, to be compared with `messageOf(…).bytes`; the read result when it is not found. */
export function readMessage(log: PartitionLog, position: number): Buffer | string {
  const into: MessageLocation = { region: Region.allocate(8), offset: 0 };
  const result = log.read(position, into);
  if (result !== "found") return result;
  return Buffer.from(into.region.bytes.subarray(into.offset, into.offset + totalBytes(into.region, into.offset)));
}

/** Stages one message and adds it for every target; the positions. Throws when there is no room. */
export function append(log: PartitionLog, message: Region, targets: readonly number[] = [1], flags = 0): number[] {
  const staged = log.stage(message, 0, message.bytes.length);
  if (staged === NO_ROOM) throw new Error("no room");
  return targets.map((target) => {
    const position = log.add(target, staged, flags, 0, 0, 0);
    if (position === NO_ROOM) throw new Error("no room");
    return position;
  });
}

/** Events as a list, and waiting for what a batch becomes. */
export class Recorder implements LogEvents {
  readonly sealed: number[] = [];
  readonly outcomes: { readonly batch: number; readonly fault: CommitFault | undefined }[] = [];
  readonly damage: Damage[] = [];
  onSealed: ((batch: number) => void) | undefined;
  #waiting: (() => void)[] = [];

  onSeal(batch: number): void {
    this.sealed.push(batch);
    this.onSealed?.(batch);
  }

  onCommitted(batch: number): void {
    this.#end(batch, undefined);
  }

  onFailed(batch: number, fault: CommitFault): void {
    this.#end(batch, fault);
  }

  onDamage(damage: Damage): void {
    this.damage.push(damage);
  }

  /** The batch's fault, or undefined once it is on disk. */
  async outcomeOf(batch: number): Promise<CommitFault | undefined> {
    for (;;) {
      const outcome = this.outcomes.find((each) => each.batch === batch);
      if (outcome !== undefined) return outcome.fault;
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
  }

  #end(batch: number, fault: CommitFault | undefined): void {
    this.outcomes.push({ batch, fault });
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/** Flushes what gathers now and waits until it is on disk; throws its fault. */
export async function commit(log: PartitionLog, events: Recorder): Promise<void> {
  const batch = log.gathering;
  log.flush();
  if (events.sealed.at(-1) !== batch && !log.isCommitting) return; // Nothing to commit.
  const fault = await events.outcomeOf(batch);
  if (fault !== undefined) throw fault.cause;
}

export interface Place {
  readonly directory: string;
  remove(): void;
}

export function temporaryPlace(parent = tmpdir()): Place {
  const directory = mkdtempSync(join(parent, "restante-log-"));
  return { directory, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

/** For thousands of commits: in memory, where the system has a file system for that. */
export const fastPlace = (): Place => temporaryPlace(existsSync("/dev/shm") ? "/dev/shm" : tmpdir());

export const isFull = process.env.RESTANTE_TEST_SIZE === "full";

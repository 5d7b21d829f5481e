/**
 * Rewrite: messages of a memory queue whose commit failed are kept, and added to the log again; see `kept.ts`.
 *
 * The new record has a later position than the message: after a crash it stands behind what was stored meanwhile. So of a
 * last-value queue only the newest value of a key is written again: an older one would follow it.
 */
import { KEPT_WRITES_PER_TURN } from "../base/limits.ts";
import type { Region } from "../base/region.ts";
import { batchOf, NO_ROOM, type Position, RECORDS_PER_BATCH_MAX } from "../log/contract.ts";
import { IN_FLIGHT, NO_SLOT } from "./aside-state.ts";
import type { QueueState } from "./queue-state.ts";

/**
 * Keeps what the failed batch held and was acknowledged, as far as there is room; before anything of it is removed. Returns
 * what is lost; not what a consumer has: that is done with unless it comes back.
 */
export function keepBatch(state: QueueState, batch: number): ReadonlySet<Position> {
  const lost = new Set<Position>();
  const { aside, line } = state;
  const begin = batch * RECORDS_PER_BATCH_MAX;
  if (begin + RECORDS_PER_BATCH_MAX <= state.memoryFrom || begin >= state.memoryBefore) return lost;
  aside.forEachOfBatch(batch, (slot) => {
    const position = aside.positionOf(slot);
    if (aside.isOverwritten(slot)) return;
    if (!state.isMemoryAt(position) || tryKeep(state, position, aside.bytesOf(slot))) return;
    if (aside.stateOf(slot) === IN_FLIGHT) state.kept.noteLost(position);
    else lost.add(position);
  });
  for (let more = line.from(begin); more && batchOf(line.position) === batch; more = line.from(line.position + 1)) {
    const { position } = line;
    if (state.isMemoryAt(position) && !tryKeep(state, position, line.messageBytes)) lost.add(position);
  }
  return lost;
}

function tryKeep(state: QueueState, position: Position, bytes: number): boolean {
  if (state.log.read(position, state.location) !== "found") return false;
  return state.kept.tryKeep(position, state.location, bytes);
}

/** Adds a record for kept messages that have none, up to a bound. */
export function writeKept(state: QueueState): void {
  if (state.kept.unwritten === 0) return;
  const olds = state.leaving.olds(); // A newer one is about to be on disk.
  let left = KEPT_WRITES_PER_TURN;
  state.kept.write((position, message) => {
    if (olds.has(position)) return "later";
    left -= 1;
    return left < 0 ? NO_ROOM : writeAgain(state, position, message);
  });
  state.events.onChanged();
}

function writeAgain(state: QueueState, position: Position, message: Region): Position | "later" {
  const { aside, line, lastValues, log } = state;
  const slot = aside.find(position);
  const isAside = slot !== NO_SLOT;
  if (!isAside && !line.find(position)) return "later";
  const high = isAside ? aside.highOf(slot) : line.keyHashHigh;
  const low = isAside ? aside.lowOf(slot) : line.keyHashLow;
  if (lastValues !== undefined && lastValues.find(high, low) !== position) return "later";
  const staged = log.stage(message, 0, message.bytes.byteLength);
  if (staged === NO_ROOM) return NO_ROOM;
  const expiresAtMs = isAside ? aside.expiryOf(slot) : line.expiresAtMs;
  return log.add(state.target, staged, 0, expiresAtMs, high, low);
}

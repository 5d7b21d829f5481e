/**
 * Recover: a queue comes back from its records and its ledger. Whatever the last process had handed out waits again.
 */
import { batchOf, type RecordSummary } from "../log/contract.ts";
import { committed, rebuildLastValues } from "./commit.ts";
import { DROPPED, STORED } from "./ledger.ts";
import type { QueueState } from "./queue-state.ts";
import { enforceLimits } from "./trim.ts";

export function recoverRecord(state: QueueState, summary: RecordSummary): void {
  const expiresAtMs = summary.expiresAtMs === 0 ? Number.POSITIVE_INFINITY : summary.expiresAtMs;
  state.line.append(summary.position, expiresAtMs, summary.messageBytes, summary.keyHashHigh, summary.keyHashLow);
}

/**
 * All records are in. What the crash left between a commit and its consequences is done now: older values of a key go,
 * and the oldest of a queue that is over its limits.
 */
export function recovered(state: QueueState, ledgerBytes: Uint8Array | undefined): void {
  const { ledger, line } = state;
  if (ledgerBytes !== undefined) ledger.decode(ledgerBytes);
  if (ledger.retentionMsMax !== state.retentionMs) {
    ledger.isRetentionChanged = true;
    ledger.retentionMsMax = Math.max(ledger.retentionMsMax, state.retentionMs);
    line.advanceExpiries(ledger.retentionMsMax - state.retentionMs);
  }
  if (state.log.hasDamage) reconcile(state);
  // Every recovered record is on disk, whatever the log counts before its first commit.
  const newest = Math.max(state.log.committed, batchOf(line.lastPosition));
  rebuildLastValues(state);
  committed(state, newest);
  enforceLimits(state);
  state.events.onChanged();
}

/**
 * Damage took records, the bits that settled them, or the ledger: what is missing counts as dropped, what came again as stored
 * again, so that the sum is that of what is there.
 */
function reconcile({ ledger, line }: QueueState): void {
  const missing = ledger.remaining - line.count;
  ledger.count(missing > 0 ? DROPPED : STORED, Math.abs(missing));
}

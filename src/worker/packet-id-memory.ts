/**
 * The last packet identifier of clients without a lasting session: their next session goes on behind it, so that a late acknowledgement of
 * the one before is not taken for one of its own.
 */
import { PACKET_ID_MEMORIES_MAX, PACKET_ID_MEMORY_MS } from "../base/limits.ts";

export class PacketIdMemory {
  /** Oldest first. */
  readonly #kept = new Map<string, { readonly last: number; readonly untilMs: number }>();

  /** The client's last one, which is forgotten; undefined when it is not known. */
  take(clientId: string): number | undefined {
    const last = this.#kept.get(clientId)?.last;
    this.#kept.delete(clientId);
    return last;
  }

  keep(clientId: string, last: number, nowMs: number): void {
    this.#kept.set(clientId, { last, untilMs: nowMs + PACKET_ID_MEMORY_MS });
    if (this.#kept.size > PACKET_ID_MEMORIES_MAX) this.#kept.delete(this.#kept.keys().next().value!);
  }

  /** Forgets what is too old. */
  keepHouse(nowMs: number): void {
    for (const [clientId, { untilMs }] of this.#kept) {
      if (untilMs > nowMs) break;
      this.#kept.delete(clientId);
    }
  }
}

/**
 * The QoS 2 identifiers that a client has published with and not yet released [MQTT-4.3.3-10].
 *
 * ```
 *   free ──PUBLISH──► PENDING ──stored by all──► STORED ──PUBREL──► free
 *                      │   └────refused──► free
 *                      ├ connection gone ─► ORPHANED ─┬─PUBLISH──► PENDING: who has it keeps it, the others store it
 *                      └ broker gone ────► RESTORED ──┘
 * ```
 *
 * PUBREC is due when an identifier is STORED, and not before: the connection may end, and its successor ask, between the two.
 */
export const UNKNOWN = 0;
export const PENDING = 1;
/** Given to everybody, stored by some. */
export const ORPHANED = 2;
/** Stored by some; whoever else had it is gone as well. */
export const RESTORED = 3;
export const STORED = 4;
type State = typeof PENDING | typeof ORPHANED | typeof RESTORED | typeof STORED;

export class Inbound {
  readonly #states = new Map<number, State>();

  stateOf(packetId: number): number {
    return this.#states.get(packetId) ?? UNKNOWN;
  }

  /** Its PUBLISH was taken; somebody may still have to store it. */
  take(packetId: number): void {
    this.#states.set(packetId, PENDING);
  }

  /** All have stored it, unless it was released meanwhile. */
  stored(packetId: number): void {
    if (this.#states.get(packetId) === PENDING) this.#states.set(packetId, STORED);
  }

  /** Found in the store at the start: some have it, all of them perhaps. */
  restore(packetId: number): void {
    this.#states.set(packetId, RESTORED);
  }

  /** Released or refused; false when it was not there. */
  delete(packetId: number): boolean {
    return this.#states.delete(packetId);
  }

  /** The connection is gone, and with it whoever would have heard that a message is stored. */
  onConnectionGone(): void {
    for (const [packetId, state] of this.#states) if (state === PENDING) this.#states.set(packetId, ORPHANED);
  }

  get size(): number {
    return this.#states.size;
  }

  get packetIds(): IterableIterator<number> {
    return this.#states.keys();
  }
}

/** What was found damaged: counted, told to the owner once, and the bad bytes set aside in the store with the next commit. */
import { LOG_DAMAGE_LIST_MAX, LOG_QUARANTINE_VALUES_MAX } from "../base/limits.ts";
import type { Damage, LogEvents } from "./contract.ts";
import type { Changes, Environment } from "./environment.ts";
import { keyOf } from "./environment.ts";

export class DamageReport {
  readonly #events: LogEvents;
  readonly #list: Damage[] = [];
  #aside: { readonly name: string; readonly value: Buffer }[] = [];
  #asideCount: number;
  count = 0;

  constructor(events: LogEvents, environment: Environment) {
    this.#events = events;
    this.#asideCount = environment.countOf("quarantine");
  }

  get list(): readonly Damage[] {
    return this.#list;
  }

  /** Whether there was damage, now or before an earlier start. */
  get isKnown(): boolean {
    return this.count > 0 || this.#asideCount > 0;
  }

  /** Whether bad bytes wait to be set aside. */
  get hasAside(): boolean {
    return this.#aside.length > 0;
  }

  /** Bytes of the pages that this will take. */
  get asideBytes(): number {
    return this.#aside.reduce((bytes, { value }) => bytes + value.length + ASIDE_EXTRA_BYTES, 0);
  }

  /** Notes a finding; `value` is what was found, undefined when nothing was. */
  add(damage: Damage, value: Buffer | undefined): void {
    this.count += 1;
    if (this.#list.length < LOG_DAMAGE_LIST_MAX) this.#list.push(damage);
    if (value !== undefined && this.#asideCount < LOG_QUARANTINE_VALUES_MAX) {
      this.#asideCount += 1;
      this.#aside.push({ name: `${damage.what}/${damage.key ?? damage.batch}`, value });
    }
    this.#events.onDamage?.(damage);
  }

  /** Puts what waits into a commit. Should that fail, the copies are lost, not the originals' reports. */
  moveAside(changes: Changes): void {
    for (const { name, value } of this.#aside) changes.put("quarantine", keyOf(name).bytes, value);
    this.#aside = [];
  }
}

/** A value's last page is rarely full, and its key lies in a leaf. */
const ASIDE_EXTRA_BYTES = 3 * 4096;

/**
 * The configuration of the queue feature: what the settings `queues.*` say, and over it what PUT has changed. A change by PUT lies in the
 * store and holds until the setting itself is changed: whichever was changed last is in force
 * (docs/decisions/0051-the-newer-of-setting-and-put-is-in-force.md).
 *
 * ```
 *   settings ──► in force ◄── PUT ─► on disk, with the setting it replaces
 *   next start: is that still the setting? the change holds : the setting is newer, the change is forgotten at the next PUT
 * ```
 */
import { CodedError } from "../base/errors.ts";
import type { ConfigChanges } from "../worker/commands.ts";

/** As EMQX writes durations: `"2h"`, or milliseconds. */
export type RawDuration = string | number;
/** The fields of a queue that a subscription creates, as given; `false` = it creates none. */
export type AutoCreate = false | Readonly<Record<string, unknown>>;

/** The settings `queues.*` fit as they are. */
export interface QueuesConfig {
  readonly enable: boolean | "auto";
  readonly gc_interval: RawDuration;
  readonly regular_queue_retention_period: RawDuration;
  readonly max_queue_count: number;
  readonly find_queue_retry_interval: RawDuration;
  /** At most one of the two is on. */
  readonly auto_create: { readonly regular: AutoCreate; readonly lastvalue: AutoCreate };
  readonly quota: {
    readonly threshold_percentage: number;
    readonly buffer_max_size: number;
    readonly buffer_flush_interval: RawDuration;
    readonly buffer_pool_size: number;
  };
}

/** Puts all changes by PUT on disk; rejects with a coded error. */
export type StoreChanges = (changes: ConfigChanges) => Promise<void>;

export class QueuesConfigStore {
  readonly #settings: QueuesConfig;
  readonly #store: StoreChanges;
  #changes: ConfigChanges = {};
  #current: QueuesConfig;

  constructor(settings: QueuesConfig, store: StoreChanges) {
    this.#settings = settings;
    this.#store = store;
    this.#current = settings;
  }

  get current(): QueuesConfig {
    return this.#current;
  }

  get isEnabled(): boolean {
    return this.#current.enable !== false;
  }

  /** Throws 503 while the feature is switched off. */
  requireEnabled(): void {
    if (!this.isEnabled) throw new CodedError("SERVICE_UNAVAILABLE", "Not enabled");
  }

  /** Throws when there may be no queue beside the `count` there are. */
  admit(count: number): void {
    this.requireEnabled();
    if (count >= this.#current.max_queue_count) {
      throw new CodedError("MAX_QUEUE_COUNT_REACHED", "Max queue count reached");
    }
  }

  /** Takes over what lay on disk; returns the keys that are in force from there, and those whose setting is newer. */
  recover(changes: ConfigChanges): { readonly inForce: readonly string[]; readonly outdated: readonly string[] } {
    const known = Object.entries(changes).filter(([key]) => key in this.#settings);
    const inForce = known.filter(([key, { setting }]) => setting === this.#settingOf(key));
    const outdated = known.filter(([key, { setting }]) => setting !== this.#settingOf(key)).map(([key]) => key);
    this.#apply(Object.fromEntries(inForce));
    return { inForce: inForce.map(([key]) => key), outdated };
  }

  /** Takes over the keys that `change` has, once they are on disk; all or nothing. Throws 400, or why they are not stored. */
  async change(change: Partial<QueuesConfig>, queueCount: number): Promise<void> {
    const wanted = { ...this.#current, ...change };
    if (wanted.auto_create.regular !== false && wanted.auto_create.lastvalue !== false) {
      const message = "Queues should be configured to be automatically created either as regular or lastvalue";
      throw new CodedError("BAD_REQUEST", message);
    }
    if (change.enable === false && queueCount > 0) {
      throw new CodedError("BAD_REQUEST", "Cannot disable MQ subsystem via API when there are existing queues");
    }
    const changes: Record<string, ConfigChanges[string]> = { ...this.#changes };
    for (const [key, value] of Object.entries(change)) changes[key] = { value, setting: this.#settingOf(key) };
    await this.#store(changes);
    this.#apply(changes);
  }

  #apply(changes: ConfigChanges): void {
    this.#changes = changes;
    const values = Object.entries(changes).map(([key, { value }]) => [key, value] as const);
    this.#current = { ...this.#settings, ...Object.fromEntries(values) };
  }

  /** A setting as text, for comparison with the one at another start. */
  #settingOf(key: string): string {
    return JSON.stringify(this.#settings[key as keyof QueuesConfig]);
  }
}

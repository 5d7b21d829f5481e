/**
 * The configuration of the queue feature (`GET` and `PUT …/queues/config`): EMQX's `mq.*` keys, durations as given.
 * Changes by PUT live as long as the process.
 */

/** As EMQX writes durations: `"2h"`, or milliseconds. */
export type RawDuration = string | number;

export interface QueuesConfig {
  readonly enable: boolean | "auto";
  readonly gc_interval: RawDuration;
  readonly regular_queue_retention_period: RawDuration;
  readonly max_queue_count: number;
  readonly find_queue_retry_interval: RawDuration;
  /** `false`, or the queue fields that a created queue gets. At most one of the two is on. */
  readonly auto_create: {
    readonly regular: false | Readonly<Record<string, unknown>>;
    readonly lastvalue: false | Readonly<Record<string, unknown>>;
  };
  readonly quota: Readonly<Record<string, unknown>>;
}

export const QUEUES_CONFIG_DEFAULT: QueuesConfig = {
  enable: true,
  gc_interval: "1h",
  regular_queue_retention_period: "7d",
  max_queue_count: 100,
  find_queue_retry_interval: "10s",
  auto_create: { regular: false, lastvalue: false },
  quota: { threshold_percentage: 10, buffer_max_size: 100, buffer_flush_interval: "1000ms", buffer_pool_size: 16 },
};

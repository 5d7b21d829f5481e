/**
 * The configuration of the queue feature as requests and responses (`GET` and `PUT …/queues/config`): EMQX's `mq.*` keys, durations as
 * they were given.
 */
import { formatBytesize } from "../base/bytesize.ts";
import { formatDuration, parseDuration } from "../base/duration.ts";
import { REST_BODY_BYTES_MAX, REST_IDLE_BODY_BYTES_MAX } from "../base/limits.ts";
import { jsonResponse, noContent } from "./answers.ts";
import type { AutoCreation } from "./auto-creation.ts";
import { type Field, fieldOf, integer, objectOf, orFalse, parseFields, wanted } from "./fields.ts";
import { KEY_EXPRESSION_DEFAULT, SETTINGS_DEFAULT, settingsFields } from "./queue-fields.ts";
import type { QueuesConfig, QueuesConfigStore, RawDuration } from "./queues-config.ts";
import type { Registry } from "./registry.ts";
import { READERS, type Route, WRITERS } from "./route.ts";

const GC_INTERVAL_MS_MAX = 4_294_967_295;
const TIMER_MS_MAX = 2_147_483_647;

const changeFields = objectOf({
  enable: fieldOf<boolean | "auto">((written) =>
    written === true || written === false || written === "auto"
      ? { value: written }
      : wanted("true, false or auto", written),
  ).optional(),
  gc_interval: rawDuration(GC_INTERVAL_MS_MAX).optional(),
  regular_queue_retention_period: rawDuration(Number.MAX_SAFE_INTEGER).optional(),
  max_queue_count: integer(1).optional(),
  find_queue_retry_interval: rawDuration(TIMER_MS_MAX).optional(),
  auto_create: objectOf({
    regular: orFalse(settingsFields.omit({ key_expression: true })).optional(),
    lastvalue: orFalse(settingsFields).optional(),
  }).optional(),
  quota: objectOf({
    threshold_percentage: integer(1, 100).optional(),
    buffer_max_size: integer(1).optional(),
    buffer_flush_interval: rawDuration(TIMER_MS_MAX).optional(),
    buffer_pool_size: integer(1).optional(),
  }).optional(),
});

export interface QueuesConfigRoutesOptions {
  readonly store: QueuesConfigStore;
  readonly registry: Registry;
  readonly autoCreation: AutoCreation;
}

export function queuesConfigRoutes(options: QueuesConfigRoutesOptions): readonly Route[] {
  const { store, registry, autoCreation } = options;
  return ["/queues/config", "/message_queues/config"].flatMap((pattern): readonly Route[] => [
    {
      method: "GET",
      pattern,
      access: { roles: READERS, scope: "connections" },
      readsBody: false,
      bodyBytesMax: REST_IDLE_BODY_BYTES_MAX,
      needsReady: false,
      prepare: () => () => jsonResponse(200, configObjectOf(store.current)),
    },
    {
      method: "PUT",
      pattern,
      access: { roles: WRITERS, scope: "connections" },
      readsBody: true,
      bodyBytesMax: REST_BODY_BYTES_MAX,
      needsReady: true,
      prepare({ body }) {
        const change = changeOf(body, store.current);
        return async () => {
          await registry.exclusively(() => store.change(change, registry.size)); // No queue is created meanwhile.
          await autoCreation.announce();
          return noContent();
        };
      },
    },
  ]);
}

/** `auto_create` is replaced as a whole, the rest key by key. */
function changeOf(body: unknown, current: QueuesConfig): Partial<QueuesConfig> {
  const { auto_create: autoCreated, quota, ...others } = parseFields(changeFields, body);
  return {
    ...definedOf(others),
    ...(quota === undefined ? {} : { quota: { ...current.quota, ...definedOf(quota) } }),
    ...(autoCreated === undefined
      ? {}
      : { auto_create: { regular: autoCreated.regular ?? false, lastvalue: autoCreated.lastvalue ?? false } }),
  };
}

/** The response object: what is on in `auto_create` shows every field it will set. */
function configObjectOf(config: QueuesConfig): object {
  const { regular, lastvalue } = config.auto_create;
  return {
    enable: config.enable,
    gc_interval: rawOf(config.gc_interval),
    regular_queue_retention_period: rawOf(config.regular_queue_retention_period),
    max_queue_count: config.max_queue_count,
    find_queue_retry_interval: rawOf(config.find_queue_retry_interval),
    auto_create: {
      regular: regular === false ? false : expanded(regular),
      lastvalue: lastvalue === false ? false : { key_expression: KEY_EXPRESSION_DEFAULT, ...expanded(lastvalue) },
    },
    quota: { ...config.quota, buffer_flush_interval: rawOf(config.quota.buffer_flush_interval) },
  };
}

function expanded(given: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { limits: givenLimits } = given;
  const limits = { ...SETTINGS_DEFAULT.limits, ...(givenLimits as object | undefined) };
  const shown: Record<string, unknown> = {};
  for (const [field, value] of Object.entries({ ...SETTINGS_DEFAULT, ...given })) {
    shown[field] = DURATIONS.has(field) ? rawOf(value) : value;
  }
  const bytesMax: unknown = limits.max_shard_message_bytes;
  return {
    ...shown,
    limits: { ...limits, max_shard_message_bytes: typeof bytesMax === "number" ? formatBytesize(bytesMax) : bytesMax },
  };
}

const DURATIONS: ReadonlySet<string> = new Set([
  "data_retention_period",
  "redispatch_interval",
  "consumer_max_inactive",
  "ping_interval",
  "busy_session_retry_interval",
  "consumer_persistence_interval",
]);

/** A text stays as it was given; milliseconds are written out. */
const rawOf = (value: unknown): unknown => (typeof value === "number" ? formatDuration(value) : value);

/** Checked as a duration, kept as written. */
function rawDuration(maxMs: number): Field<RawDuration> {
  return fieldOf((written) => {
    const { value, problem } = parseDuration(written);
    if (problem !== undefined) return { problem };
    const isFine = value >= 1 && value <= maxMs;
    return isFine ? { value: written as RawDuration } : { problem: `out of range: 1ms to ${maxMs}ms` };
  });
}

function definedOf<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

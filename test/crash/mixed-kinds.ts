/**
 * The queues of the mixed crash test: one of every kind, over filters that overlap, each with what it may lose.
 */
import type { Ledger } from "../harness/rest.ts";
import type { Published, QueueWatch } from "./mixed-model.ts";

export const COUNT_MAX = 60;
export const BYTES_MAX = 8_000;

type Definition = Readonly<Record<string, unknown>>;

/** What of the messages that came to no consumer must have come to one. */
type Judge = (watch: QueueWatch, ledger: Counts) => readonly Published[];
export type Counts = Ledger & { readonly expired: number };

const keepsAll: Judge = (watch) => watch.missing();
const keepsButNewest: Judge = (watch) => watch.missingInMemory();
/** Gone are at most as many as were counted. */
const keepsBut =
  (counter: "dropped" | "purged" | "expired"): Judge =>
  (watch, ledger) =>
    watch.missing().slice(ledger[counter]);
/** Acknowledged while it was certainly a queue that needs the disk. */
const keepsPromised: Judge = (watch) =>
  watch.missing().filter(({ epoch, ackedInEpoch }) => epoch % 2 === 0 && epoch === ackedInEpoch);
/** What is dropped at once leaves no record, so that a kill may forget its count; of last values and changes the test itself judges. */
const isJudgedElsewhere: Judge = () => [];

export interface Kind {
  readonly filter: RegExp;
  readonly judge: Judge;
  readonly definition: Definition;
  /** One, where the order of values is looked at. */
  readonly consumers?: number;
}

const limited = (limits: object, overflow: string): Definition => ({ limits, overflow });
const work = /^work\//;
export const KINDS: Readonly<Record<string, Kind>> = {
  durable: { filter: work, judge: keepsAll, definition: { topic_filter: "work/#" } },
  once: {
    filter: /^once\//,
    judge: keepsAll,
    definition: { topic_filter: "once/#", dispatch_strategy: "round_robin" },
  },
  memory: {
    filter: /^work\/[^/]*$/,
    judge: keepsButNewest,
    definition: { topic_filter: "work/+", durability: "memory" },
  },
  last: {
    filter: /^state\//,
    judge: isJudgedElsewhere,
    definition: { topic_filter: "state/#", is_lastvalue: true, key_expression: "message.topic" },
    consumers: 1,
  },
  "last-memory": {
    filter: /^state\//,
    judge: isJudgedElsewhere,
    definition: { topic_filter: "state/#", is_lastvalue: true, key_expression: "message.topic", durability: "memory" },
    consumers: 1,
  },
  oldest: {
    filter: work,
    judge: keepsBut("dropped"),
    definition: { topic_filter: "work/#", ...limited({ max_shard_message_count: COUNT_MAX }, "drop_oldest") },
  },
  newest: {
    filter: /^work\/1$/,
    judge: isJudgedElsewhere,
    definition: { topic_filter: "work/1", ...limited({ max_shard_message_bytes: BYTES_MAX }, "drop_newest") },
  },
  strict: {
    filter: /^strict\//,
    judge: keepsAll,
    definition: { topic_filter: "strict/#", ...limited({ max_shard_message_count: COUNT_MAX }, "reject") },
  },
  brief: {
    filter: work,
    judge: keepsBut("expired"),
    definition: { topic_filter: "work/#", data_retention_period: 150 },
  },
  mortal: { filter: /^mortal\//, judge: keepsBut("expired"), definition: { topic_filter: "mortal/#" } },
  purged: { filter: work, judge: keepsBut("purged"), definition: { topic_filter: "work/#" } },
  changing: { filter: /^work\/2$/, judge: keepsPromised, definition: { topic_filter: "work/2" } },
  again: { filter: /^work\/3$/, judge: isJudgedElsewhere, definition: { topic_filter: "work/3" } },
};
/** Made by its consumers, for the setting below. */
export const AUTO = "auto";
export const SETTINGS = "queues:\n  auto_create:\n    regular:\n      dispatch_strategy: least_inflight\n";

/** The storage contract stands in base, where queues and dispatch may see it. */
export * from "../base/partition-log.ts";

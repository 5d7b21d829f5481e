#!/usr/bin/env node
/**
 * The command `restante`. It is CommonJS for one reason: libuv fixes the size of its pool when it is first used, and loading
 * an ES module uses it. Measured on Node 20: set from an ES module, UV_THREADPOOL_SIZE changes nothing.
 *
 * Each commit of a partition holds a pool thread for its fdatasync, so the pool must be larger than the number of partitions,
 * whose number is not known yet: one per core, or 16 where the data may come from a larger machine.
 */
const { availableParallelism } = require("node:os") as typeof import("node:os");

process.env.UV_THREADPOOL_SIZE ??= String(Math.max(availableParallelism(), 16) + 4);
void import("./restante.ts");

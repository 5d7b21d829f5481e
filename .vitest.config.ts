import { defineConfig } from "vitest/config";

/** Worker threads and child processes compete for the cores: few files at a time, generous limits, and no retries. */
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    retry: 0,
  },
});

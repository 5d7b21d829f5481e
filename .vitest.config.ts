import { defineConfig } from "vitest/config";

const isFull = process.env.RESTANTE_TEST_SIZE === "full";

/** Worker threads and child processes compete for the cores: few files at a time, generous limits, and no retries. */
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    setupFiles: ["test/setup.ts"],
    pool: "forks",
    maxWorkers: 3, // A third waits for its disk and its clients.
    testTimeout: isFull ? 600_000 : 60_000,
    hookTimeout: 60_000,
    retry: 0,
  },
});

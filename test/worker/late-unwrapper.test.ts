/**
 * Goal: a worker that cannot load what takes TLS and WebSocket off lets go of the connections that need it, and lives on.
 * Method: a process in which every descriptor is taken when the first connections come.
 */
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

test("without a descriptor to load the unwrapper with, its connections are given up, each once", () => {
  const program = new URL("./few-descriptors.mjs", import.meta.url).pathname;
  const command = `ulimit -n 60; exec "${process.execPath}" "${program}"`;
  const { stdout, stderr, status } = spawnSync("sh", ["-c", command], { encoding: "utf8" });
  expect([stdout.trim(), stderr, status]).toEqual([JSON.stringify(["EMFILE 0", "EMFILE 1"]), "", 0]);
});

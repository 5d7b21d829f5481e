/**
 * Goal: a worker that has no descriptor left takes TLS and WebSocket off all the same, and if it could not load what does, it lets go of the
 * connections that need it, and lives on.
 * Method: a process in which every descriptor is taken when the first connections come.
 */
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

test.each([
  ["prepared", "opened 0, opened 1"],
  ["not prepared", "EMFILE 0, EMFILE 1"],
])("without a descriptor, an unwrapper that is %s: %s", (preparation, outcomes) => {
  const program = new URL("./few-descriptors.mjs", import.meta.url).pathname;
  const command = `ulimit -n 60; exec "${process.execPath}" "${program}" "${preparation}"`;
  const { stdout, stderr, status } = spawnSync("sh", ["-c", command], { encoding: "utf8" });
  expect([stdout.trim(), stderr, status]).toEqual([outcomes, "", 0]);
});

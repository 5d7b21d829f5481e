/** The built command `restante` as a child process, in a clean environment. */
import { type ChildProcessByStdio, spawn, spawnSync } from "node:child_process";
import { resolve } from "node:path";
import type { Readable } from "node:stream";

const LAUNCHER = resolve("dist/cli/launch.cjs");

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export type Environment = Readonly<Record<string, string>>;

/** Only what the child needs to start: settings of the test's own environment must not reach it. */
const clean = (environment: Environment) => ({ PATH: process.env.PATH, ...environment });

/** Runs the command to its end. */
export function run(flags: readonly string[], environment: Environment = {}, cwd?: string): Outcome {
  const { status, stdout, stderr } = spawnSync(process.execPath, [LAUNCHER, ...flags], {
    env: clean(environment),
    encoding: "utf8",
    timeout: 20_000,
    ...(cwd === undefined ? {} : { cwd }),
  });
  return { code: status, stdout, stderr };
}

/** Starts a module given as text, with the built files under `dist` to import from. */
export function startModule(source: string, flags: readonly string[]): ChildProcessByStdio<null, Readable, Readable> {
  return spawn(process.execPath, ["--input-type=module", "-e", source, ...flags], {
    env: clean({}),
    stdio: ["ignore", "pipe", "pipe"],
  });
}

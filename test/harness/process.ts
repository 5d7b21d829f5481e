/**
 * Child processes of the tests: started with a clean environment, their output kept line by line, ended by their own
 * pid and by no other means.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** Of our own environment a child sees this much: no setting of the broker leaks into a test. */
export function cleanEnvironment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name of ["PATH", "HOME", "TMPDIR", "LANG"]) {
    const value = process.env[name];
    if (value !== undefined) kept[name] = value;
  }
  return { ...kept, ...extra };
}

export interface Finished {
  /** Exit code; null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface SpawnOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly workingDirectory?: string;
}

/** A running child whose lines on stdout can be awaited. */
export class Child {
  readonly lines: string[] = [];
  /** What it wrote on stderr so far. */
  stderr = "";
  /** Settles when the process is gone and its pipes are read to their ends. */
  readonly ended: Promise<Finished>;
  #child: ChildProcess;
  #wake: (() => void)[] = [];
  #isEnded = false;

  constructor(command: string, args: readonly string[], options: SpawnOptions = {}) {
    this.#child = spawn(command, [...args], {
      env: cleanEnvironment(options.environment),
      cwd: options.workingDirectory,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const output = createInterface({ input: this.#child.stdout! });
    output.on("line", (line) => {
      this.lines.push(line);
      this.#wakeAll();
    });
    this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    this.ended = this.#end(once(output, "close"));
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get isRunning(): boolean {
    return !this.#isEnded;
  }

  /** Sends a signal to this process, if it still runs. */
  signal(name: NodeJS.Signals): void {
    if (!this.#isEnded) this.#child.kill(name);
  }

  /**
   * Waits until `find` answers something but undefined for the lines so far.
   * @throws with the output when the process ends or `timeoutMs` pass first.
   */
  async until<T>(find: (lines: readonly string[]) => T | undefined, timeoutMs: number): Promise<T> {
    const deadlineMs = performance.now() + timeoutMs;
    for (;;) {
      const found = find(this.lines);
      if (found !== undefined) return found;
      const leftMs = deadlineMs - performance.now();
      if (this.#isEnded || leftMs <= 0) {
        const why = this.#isEnded ? "ended" : `said nothing of the kind within ${timeoutMs} ms`;
        throw new Error(`the process ${why}:\n${this.lines.slice(-30).join("\n")}\n${this.stderr.slice(-3000)}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  async #end(outputClosed: Promise<unknown>): Promise<Finished> {
    try {
      const [code, signal] = (await once(this.#child, "close")) as [number | null, NodeJS.Signals | null];
      await outputClosed;
      return { code, signal, stdout: this.lines.join("\n"), stderr: this.stderr };
    } finally {
      this.#isEnded = true;
      this.#wakeAll();
    }
  }

  #wakeAll(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}

/**
 * Runs a command to its end.
 * @throws when it takes longer than `timeoutMs`; it is killed then.
 */
export async function run(
  command: string,
  args: readonly string[],
  options: SpawnOptions & { readonly timeoutMs?: number } = {},
): Promise<Finished> {
  const child = new Child(command, args, options);
  const timeoutMs = options.timeoutMs ?? 20_000;
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.signal("SIGKILL");
  }, timeoutMs);
  const finished = await child.ended;
  clearTimeout(timer);
  if (isLate) throw new Error(`${command} ${args.join(" ")} took more than ${timeoutMs} ms\n${finished.stderr}`);
  return finished;
}

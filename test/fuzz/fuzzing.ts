/**
 * One run of the fuzzer against a broker: scripts by seed, several at a time, while a witness pair publishes and receives. Then the very
 * same scripts once more: what memory grows by in the second round is kept for nobody.
 *
 * ```
 *   round 1: scripts 0 … n-1 until time is up ─► memory ─► round 2: scripts 0 … n-1 again ─► memory, as much as before
 * ```
 */
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { Broker } from "../harness/broker.ts";
import { createQueue } from "../harness/rest.ts";
import { eventually, pause } from "../harness/waiting.ts";
import { Witness } from "../harness/witness.ts";
import { FUZZED_FILTER, FUZZED_QUEUE, type Script, scriptOf } from "./scripts.ts";

export interface FuzzOptions {
  readonly seed: number;
  /** Of both rounds together. */
  readonly seconds: number;
  readonly workers: number;
}

export interface FuzzReport {
  readonly scripts: number;
  /** Messages that the witness published, each of which came. */
  readonly witnessed: number;
  readonly slowestWitnessMs: number;
  readonly grownBytes: number;
}

const AT_ONCE = 16;
/** How long a script that waits for the broker's close gives it. */
const WAIT_MS = 20;
/** Scripts that are shown with a failure: those at the time, and some before. */
const SHOWN = 3 * AT_ONCE;
/** A heap that is warm only after the first round grows by some 20 MB; keeping 4 KiB of each script of a long run is more. */
const GROWTH_BYTES_MAX = 48 * 1024 * 1024;
const SETTLE_MS_MAX = 40_000;
/** Sessions of fuzzed clients end soon, so that none of them counts as growth. */
const SETTINGS = "session.default_expiry_interval: 1s\n";

const anonymousBytes = (pid: number): number =>
  Number(/RssAnon:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) * 1024;

/** @throws with the seed and the bytes of the latest scripts when the broker fails in anything. */
export async function fuzz({ seed, seconds, workers }: FuzzOptions): Promise<FuzzReport> {
  const broker = await Broker.start({ workers, settings: SETTINGS });
  const run = new Run(broker, seed);
  try {
    await createQueue(broker, {
      name: FUZZED_QUEUE,
      topic_filter: FUZZED_FILTER,
      limits: { max_shard_message_count: 1_000 },
    });
    const witness = await Witness.start(broker.mqttPort);
    const scripts = await run.round(witness, (done, ms) => done === 0 || ms < seconds * 500);
    await pause(Math.min(2_500, seconds * 100)); // Their sessions end.
    const before = anonymousBytes(broker.pid);
    await run.round(witness, (done) => done < scripts);
    const grown = (): number => anonymousBytes(broker.pid) - before;
    await eventually(
      () => `memory is back: ${grown()} bytes more`,
      () => grown() < GROWTH_BYTES_MAX,
      SETTLE_MS_MAX,
    );
    const { witnessed, slowestMs } = await witness.stop();
    run.expectCalm();
    const report = { scripts: 2 * scripts, witnessed, slowestWitnessMs: slowestMs, grownBytes: grown() };
    await broker.stop();
    return report;
  } catch (error) {
    throw run.failure(error);
  } finally {
    await broker.remove();
  }
}

class Run {
  readonly #broker: Broker;
  readonly #seed: number;
  readonly #latest: Script[] = [];

  constructor(broker: Broker, seed: number) {
    this.#broker = broker;
    this.#seed = seed;
  }

  /** Sends script after script while `goesOn`; returns how many. */
  async round(witness: Witness, goesOn: (done: number, ms: number) => boolean): Promise<number> {
    const startMs = performance.now();
    let next = 0;
    const sendSome = async (): Promise<void> => {
      while (goesOn(next, performance.now() - startMs)) {
        const script = scriptOf(this.#seed, next);
        next += 1;
        this.#latest.push(script);
        if (this.#latest.length > SHOWN) this.#latest.shift();
        await send(script.carrier === "tcp" ? this.#broker.mqttPort : this.#broker.wsPort, script);
        witness.check();
        if (!this.#broker.isRunning) throw new Error("the broker has died");
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, sendSome));
    return next;
  }

  /** Nothing was logged as an error, nothing was written where a crash writes. */
  expectCalm(): void {
    const errors = this.#broker.logs.filter((line) => /"level":"(error|fatal)"/.test(line));
    if (errors.length > 0) throw new Error(`the log has errors:\n${errors.slice(0, 20).join("\n")}`);
  }

  failure(cause: unknown): Error {
    const shown = this.#latest.map(({ number, kind, carrier, end, writes }) => {
      const bytes = writes.map((write) => write.toString("hex")).join(" ");
      return `${number} ${kind} ${carrier} ${end}: ${bytes.length > 2_000 ? `${bytes.slice(0, 2_000)}…` : bytes}`;
    });
    const message = `seed ${this.#seed}: ${(cause as Error).message}\nthe latest scripts:\n${shown.join("\n")}`;
    return new Error(message, { cause });
  }
}

/** Sends the writes one by one and leaves; resolves when the connection is gone. */
function send(port: number, { writes, end }: Script): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    let at = 0;
    const next = (): void => {
      if (socket.destroyed) return;
      if (at < writes.length) {
        socket.write(writes[at]!);
        at += 1;
        setImmediate(next);
      } else if (end === "fin") {
        socket.end();
        setTimeout(() => socket.destroy(), WAIT_MS);
      } else if (end === "reset") {
        socket.resetAndDestroy();
      } else {
        setTimeout(() => socket.destroy(), WAIT_MS);
      }
    };
    socket.on("connect", next);
    socket.on("error", () => {});
    socket.on("close", () => resolve());
    socket.resume();
  });
}

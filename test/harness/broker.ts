/**
 * The built broker as a child process: on free ports, with a data directory of its own, in a clean environment.
 *
 * ```
 *  start ── ready line ──► running ──┬─ stop (SIGTERM, must exit 0) ──┐
 *    ▲                               └─ kill (SIGKILL) ───────────────┤
 *    └────────────── restart on the same data directory ◄─────────────┘
 * ```
 *
 * After every start, and before it is stopped or removed, the ledger of each of its queues must add up; a kill comes at its
 * moment, so it is looked at after that. No life may have reported stored bytes as damaged, unless a test damages them.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { checkLedgers } from "./ledgers.ts";
import { Child, type Finished } from "./process.ts";
import { type Transport, Wrapping } from "./wrapping.ts";

export const ENTRY = resolve("dist/cli/launch.cjs");
export const API_KEY = "key";
export const API_SECRET = "secret";
const READY_MS_MAX = 40_000;
const STOP_MS_MAX = 40_000;

export interface BrokerOptions {
  /** Default 1. */
  readonly workers?: number;
  /** What `mqttPort` is reached over: plain sockets whatever it is, for a relay wraps their bytes. Default tcp. */
  readonly transport?: Transport;
  /** Settings for the file, in YAML. */
  readonly settings?: string;
  /** More flags after those of the harness. */
  readonly flags?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** The test damages the store; default false: then what the broker takes for damage is its own fault. */
  readonly isTampered?: boolean;
  /** Where its directory is made; the system's for temporary files unless given. */
  readonly directory?: string;
}

interface ReadyLine {
  readonly msg: "ready";
  readonly listeners: Readonly<Record<string, string>>;
  readonly workers: number;
  readonly pid: number;
}

/** 0 for a listener that is not there. */
const portOf = (address: string | undefined): number => Number(address?.slice(address.lastIndexOf(":") + 1) ?? 0);

function readyLineOf(lines: readonly string[]): ReadyLine | undefined {
  for (const line of lines) {
    if (!line.includes('"ready"')) continue;
    const parsed = JSON.parse(line) as { msg?: unknown };
    if (parsed.msg === "ready") return parsed as ReadyLine;
  }
  return undefined;
}

/** A broker under test. Its ports are new after every start. */
export class Broker {
  readonly host = "127.0.0.1";
  /** Holds `data`, the key file and the settings file. */
  readonly directory: string;
  readonly dataDirectory: string;
  mqttPort = 0;
  wsPort = 0;
  /** By the listener's name. */
  ports: Readonly<Record<string, number>> = {};
  httpPort = 0;
  workers = 0;
  #options: BrokerOptions;
  readonly #wrapping: Wrapping | null;
  #child: Child | undefined;
  /** Told to end: it may answer no more. */
  #isSignalled = false;

  private constructor(directory: string, options: BrokerOptions, wrapping: Wrapping | null) {
    this.#wrapping = wrapping;
    this.directory = directory;
    this.dataDirectory = join(directory, "data");
    this.#options = options;
  }

  /** Starts a broker on an empty data directory and waits until it is ready. */
  static async start(wanted: BrokerOptions = {}): Promise<Broker> {
    const { transport = "tcp", settings = "" } = wanted;
    const wrapping = transport === "tcp" ? null : await Wrapping.start(transport);
    const options = wrapping === null ? wanted : { ...wanted, settings: `${wrapping.settings}${settings}` };
    const directory = await mkdtemp(join(options.directory ?? tmpdir(), "restante-test-"));
    await writeFile(join(directory, "api-keys.txt"), `${API_KEY}:${API_SECRET}\n`, { mode: 0o600 });
    if (options.settings !== undefined) await writeFile(join(directory, "restante.yaml"), options.settings);
    const broker = new Broker(directory, options, wrapping);
    try {
      await broker.#launch(options.workers ?? 1);
    } catch (error) {
      await broker.#child?.ended;
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
    return broker;
  }

  /** The command line that starts a broker on this data directory. */
  commandLine(workers: number): string[] {
    const own = { "--host": this.host, "--mqtt-port": "0", "--http-port": "0", "--ws-port": "0" }; // A list of listeners outdoes two of them.
    const files = { "--data-dir": this.dataDirectory, "--api-keys": join(this.directory, "api-keys.txt") };
    const settings = this.#options.settings === undefined ? {} : { "--config": join(this.directory, "restante.yaml") };
    const flags = Object.entries({ ...own, ...files, ...settings, "--workers": String(workers) }).flat();
    return [ENTRY, "start", ...flags, ...(this.#options.flags ?? [])];
  }

  get pid(): number {
    return this.#running().pid;
  }

  get isRunning(): boolean {
    return this.#child?.isRunning ?? false;
  }

  /** The log lines since the last start. */
  get logs(): readonly string[] {
    return this.#child?.lines ?? [];
  }

  get url(): string {
    return `http://${this.host}:${this.httpPort}`;
  }

  /** Settles when the running process is gone. */
  get ended(): Promise<Finished> {
    return this.#running().ended;
  }

  signal(name: NodeJS.Signals): void {
    this.#isSignalled = true;
    this.#running().signal(name);
  }

  /**
   * SIGTERM, and the process must end by itself with exit code 0.
   * @throws with the last log lines when it does not.
   */
  async stop(): Promise<void> {
    await this.#checkLedgers();
    const child = this.#running();
    child.signal("SIGTERM");
    const finished = await this.#endOf(child);
    this.#refuseDamage();
    if (finished.code === 0) return;
    const said = `${child.lines.slice(-20).join("\n")}\n${finished.stderr.slice(-3000)}`;
    throw new Error(`SIGTERM ended the broker with code ${finished.code}, signal ${finished.signal}:\n${said}`);
  }

  /** SIGKILL: what a crash of the process leaves on disk. */
  async kill(): Promise<void> {
    const child = this.#running();
    child.signal("SIGKILL");
    await child.ended;
  }

  /** Starts again on the same data directory, after `stop` or `kill`. */
  async restart(workers = this.workers): Promise<void> {
    if (this.isRunning) throw new Error("the broker still runs");
    this.#refuseDamage();
    await this.#launch(workers);
    await this.#checkLedgers();
  }

  /** For afterAll: ends what runs and removes the directory. A broker that died by itself fails the suite here. */
  async remove(): Promise<void> {
    try {
      await this.#checkLedgers();
    } finally {
      if (this.isRunning) await this.kill();
      await this.#wrapping?.close();
      await rm(this.directory, { recursive: true, force: true });
    }
    const finished = await this.#child?.ended;
    this.#refuseDamage();
    if (finished === undefined || finished.code === 0 || finished.signal === "SIGKILL") return;
    const { code, signal, stderr } = finished;
    throw new Error(`the broker died with code ${code}, signal ${signal}:\n${stderr.slice(-3000)}`);
  }

  /** A broker that dies meanwhile is `remove`'s to report. */
  async #checkLedgers(): Promise<void> {
    if (!this.isRunning || this.#isSignalled) return;
    try {
      await checkLedgers(this);
    } catch (error) {
      if (this.isRunning) throw error;
    }
  }

  #refuseDamage(): void {
    if (this.#options.isTampered === true) return;
    const line = this.logs.find((each) => each.includes("stored bytes are damaged"));
    if (line !== undefined) throw new Error(`the broker took its own store for damaged: ${line}`);
  }

  async #launch(workers: number): Promise<void> {
    this.#isSignalled = false;
    const child = new Child(process.execPath, this.commandLine(workers), {
      environment: this.#options.environment ?? {},
    });
    this.#child = child;
    try {
      const ready = await child.until(readyLineOf, READY_MS_MAX);
      this.ports = Object.fromEntries(
        Object.entries(ready.listeners).map(([name, address]) => [name, portOf(address)]),
      );
      this.mqttPort = this.#wrapping?.port ?? portOf(ready.listeners.mqtt);
      if (this.#wrapping !== null) this.#wrapping.targetPort = this.ports.wrapped!;
      this.wsPort = portOf(ready.listeners.ws);
      this.httpPort = portOf(ready.listeners.http);
      this.workers = workers;
    } catch (error) {
      child.signal("SIGKILL");
      throw error;
    }
  }

  async #endOf(child: Child): Promise<Finished> {
    const timer = setTimeout(() => child.signal("SIGKILL"), STOP_MS_MAX);
    const finished = await child.ended;
    clearTimeout(timer);
    return finished;
  }

  #running(): Child {
    if (this.#child === undefined) throw new Error("the broker was not started");
    return this.#child;
  }
}

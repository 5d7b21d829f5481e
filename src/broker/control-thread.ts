/** The control thread, as main sees it. */
import { Worker } from "node:worker_threads";
import { CodedError } from "../base/errors.ts";
import type { AccessInForce, AccessSummary } from "../control/access-routes.ts";
import type { ControlData, FromControl, ToControl } from "../control/thread-protocol.ts";
import { ThreadFailure } from "./thread-failure.ts";

/** What control may ask of the users and rules, which main keeps. */
export interface ControlledAccess {
  readonly inForce: AccessInForce;
  reload(): Promise<AccessSummary>;
}

export class ControlThread {
  /** "host:port" of the HTTP listener; rejects with a CodedError when it cannot listen. */
  readonly opened: Promise<string>;
  readonly #thread: Worker;
  #isStopping = false;

  constructor(data: ControlData, access: ControlledAccess, onFailure: (error: Error) => void) {
    this.#thread = new Worker(new URL("../control/entry.js", import.meta.url), {
      name: "control",
      workerData: data,
      transferList: [...data.ports],
    });
    this.#thread.on("error", (error) => onFailure(new ThreadFailure("the control thread failed", error)));
    this.#thread.on("exit", (code) => {
      if (!this.#isStopping) onFailure(new ThreadFailure(`the control thread ended with code ${code}`));
    });
    this.opened = new Promise((resolve, reject) => {
      this.#thread.on("message", (message: FromControl) => {
        if (message.kind === "listening") resolve(message.address);
        else if (message.kind === "reloadAccess") void this.#reload(message.number, access, onFailure);
        else if (message.kind === "readAccess") this.#tell(message.number, access.inForce);
        else if (message.kind === "refused") reject(CodedError.fromPlain(message.fault));
      });
    });
  }

  #tell(number: number, access: AccessInForce): void {
    this.#thread.postMessage({ kind: "accessRead", number, access } satisfies ToControl);
  }

  async #reload(number: number, access: ControlledAccess, onFailure: (error: Error) => void): Promise<void> {
    let answer: ToControl;
    try {
      answer = { kind: "accessReloaded", number, summary: await access.reload() };
    } catch (error) {
      if (!(error instanceof CodedError)) {
        onFailure(error as Error);
        return;
      }
      answer = { kind: "accessReloaded", number, fault: error.toPlain() };
    }
    this.#thread.postMessage(answer);
  }

  ready(): void {
    this.#thread.postMessage({ kind: "ready" } satisfies ToControl);
  }

  async stop(graceMs: number): Promise<void> {
    this.#isStopping = true;
    const stopped = new Promise<void>((resolve) => {
      this.#thread.on("message", (message: FromControl) => {
        if (message.kind === "stopped") resolve();
      });
    });
    this.#thread.postMessage({ kind: "stop", graceMs } satisfies ToControl);
    await stopped;
    await this.#thread.terminate();
  }
}

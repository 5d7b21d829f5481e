/**
 * The operator of the mixed crash test: deletes and makes a queue, purges one, changes others, and looks at the limits; at random, until the
 * broker is killed.
 */
import { expect } from "vitest";
import type { Broker } from "../harness/broker.ts";
import { deleteQueue, ledgerOf, request } from "../harness/rest.ts";
import { pause } from "../harness/waiting.ts";
import { BYTES_MAX, COUNT_MAX, KINDS } from "./mixed-kinds.ts";
import { nextConnection } from "./mixed-load.ts";
import type { MixedModel } from "./mixed-model.ts";

const STRATEGIES = ["random", "round_robin", "least_inflight"];
const PAUSE_MS_MAX = 30;

const pathOf = (name: string): string => `/api/v5/queues/${name}`;

export class MixedOperator {
  readonly #broker: Broker;
  readonly #model: MixedModel;
  readonly #random: () => number;

  constructor(broker: Broker, model: MixedModel, random: () => number) {
    this.#broker = broker;
    this.#model = model;
    this.#random = random;
  }

  /** Works until `isDone`; what a kill cuts short is nobody's fault. */
  async work(isDone: () => boolean): Promise<void> {
    while (!isDone()) {
      try {
        await this.#workOnce();
      } catch (error) {
        if (!isDone()) throw error;
      }
      await pause(this.#random() * PAUSE_MS_MAX);
    }
  }

  async #workOnce(): Promise<void> {
    const chance = this.#random();
    if (chance < 0.2) await this.#delete();
    else if (chance < 0.4) await this.#create();
    else if (chance < 0.5) await request(this.#broker, "DELETE", `${pathOf("purged")}/messages`);
    else if (chance < 0.7) await this.#changeDurability();
    else if (chance < 0.9) await this.#changeDispatch();
    else await this.lookAtLimits();
  }

  async #delete(): Promise<void> {
    const acknowledged = [...this.#model.published].filter(([, { ackedInLife }]) => ackedInLife >= 0);
    if ((await deleteQueue(this.#broker, "again")) !== 204) return;
    const ids = acknowledged.map(([id]) => id);
    this.#model.watchOf("again").onDeleted(ids, nextConnection());
  }

  async #create(): Promise<void> {
    const body = { name: "again", is_lastvalue: false, ...KINDS.again!.definition };
    const { status } = await request(this.#broker, "POST", "/api/v5/queues", body);
    expect([200, 400]).toContain(status); // It is there, or it was.
  }

  /** In an even epoch the queue needs the disk, and nothing is under way. */
  async #changeDurability(): Promise<void> {
    const model = this.#model;
    if (model.epoch % 2 === 0) {
      model.epoch += 1;
      await request(this.#broker, "PUT", pathOf("changing"), { durability: "memory" });
      return;
    }
    const { status } = await request(this.#broker, "PUT", pathOf("changing"), { durability: "fsync" });
    if (status === 200) model.epoch += 1;
  }

  async #changeDispatch(): Promise<void> {
    const { watches } = this.#model;
    const { name } = watches[Math.floor(this.#random() * watches.length)]!;
    const change = {
      dispatch_strategy: STRATEGIES[Math.floor(this.#random() * STRATEGIES.length)],
      local_max_inflight: 1 + Math.floor(this.#random() * 15),
    };
    const { status } = await request(this.#broker, "PUT", pathOf(name), change);
    expect(status).toBe(name === "again" && status === 404 ? 404 : 200);
  }

  async lookAtLimits(): Promise<void> {
    const { faults } = this.#model;
    for (const name of ["oldest", "strict", "newest"]) {
      const { waiting, in_flight, waiting_bytes, difference } = await ledgerOf(this.#broker, name);
      const count = waiting + in_flight;
      if (name !== "newest" && count > COUNT_MAX) faults.push(`${name}: ${count} are in it`);
      if (name === "newest" && waiting_bytes > BYTES_MAX) faults.push(`${name}: ${waiting_bytes} bytes wait`);
      if (difference !== 0) faults.push(`${name}: the ledger differs by ${difference}`);
    }
  }
}

/**
 * Goal: whoever subscribes to a queue that is not there is answered once, in time, and control is asked once for all of them; nothing of
 * the broker's own is in a queue.
 * Method: the queues that are wanted with a control that answers when told; a worker of the rig for the topics.
 */
import { afterEach, describe, expect, it } from "vitest";
import { WANTED_QUEUE_DEADLINE_MS, WANTED_QUEUES_MAX } from "../../src/base/limits.ts";
import { QueueRegistry } from "../../src/queue/registry.ts";
import { WantedQueues } from "../../src/worker/wanted-queues.ts";
import { record } from "../queue/definitions.ts";
import { message } from "../queue/message.ts";
import { Rig } from "./rig.ts";

class Desk {
  readonly registry = new QueueRegistry();
  readonly asked: string[] = [];
  readonly answered: string[] = [];
  readonly faults: string[] = [];
  #deadlines: (() => void)[] = [];
  readonly wanted = new WantedQueues({
    registry: this.registry,
    ask: ({ wanted, name, topicFilter }) => this.asked.push(`${wanted}: ${name ?? "unnamed"} over ${topicFilter}`),
    after: (afterMs, callback) => {
      expect(afterMs).toBe(WANTED_QUEUE_DEADLINE_MS);
      this.#deadlines.push(callback);
    },
    onFault: (_fields, text) => this.faults.push(text),
  });

  constructor(isAllowed = true) {
    this.wanted.isAllowed = isAllowed;
  }

  want(filter: string, who = filter): void {
    this.wanted.want(filter, () => this.answered.push(who));
  }

  /** Of the oldest request. */
  passDeadline(): void {
    this.#deadlines.shift()?.();
  }
}

describe("a queue that is wanted", () => {
  it("is asked for once, and all who want it are answered once", () => {
    const desk = new Desk();
    for (const who of ["a", "b", "c"]) desk.want("$queue/q/t/#", who);
    desk.want("$q/t/#", "d");
    expect(desk.asked).toEqual(["$queue/q/t/#: q over t/#", "$q/t/#: unnamed over t/#"]);
    expect(desk.answered).toEqual([]);
    desk.wanted.onAnswer("$queue/q/t/#");
    expect(desk.answered).toEqual(["a", "b", "c"]);
    desk.passDeadline();
    desk.wanted.onAnswer("$q/t/#");
    expect(desk.answered).toEqual(["a", "b", "c", "d"]);
  });

  it("is asked for again by who comes after the answer or the deadline, and an old deadline does not cut that short", () => {
    const desk = new Desk();
    desk.want("$q/t", "first");
    desk.wanted.onAnswer("$q/t");
    desk.want("$q/t", "second");
    expect(desk.asked.length).toBe(2);
    desk.passDeadline();
    expect(desk.answered).toEqual(["first"]);
    desk.passDeadline();
    expect(desk.answered).toEqual(["first", "second"]);
    desk.want("$q/t", "third");
    expect(desk.asked.length).toBe(3);
  });

  it("is not asked for when it is there, when its name is, without a filter, or when nothing may be created", () => {
    const desk = new Desk();
    desk.registry.set(record({ name: "q", topic_filter: "t" }));
    for (const filter of ["$queue/q/t", "$queue/q/other", "$queue/other", "$q/t", "plain"]) desk.want(filter);
    expect(desk.answered.length).toBe(5);
    const forbidden = new Desk(false);
    forbidden.want("$q/t");
    expect([desk.asked, forbidden.asked, forbidden.answered]).toEqual([[], [], ["$q/t"]]);
  });

  it("is not asked for beyond a bound, and that is said", () => {
    const desk = new Desk();
    for (let index = 0; index <= WANTED_QUEUES_MAX; index += 1) desk.want(`$q/${index}`);
    expect([desk.asked.length, desk.answered.length, desk.faults.length]).toEqual([WANTED_QUEUES_MAX, 1, 1]);
  });
});

describe("what the broker says about itself", () => {
  let rig: Rig | undefined;
  afterEach(() => rig?.remove());

  it("is in no queue, not even one whose filter names it", async () => {
    rig = new Rig();
    const system = rig.createQueue({ name: "system", topic_filter: "$SYS/#" });
    const all = rig.createQueue({ name: "all", topic_filter: "#" });
    const { publishing } = rig.workers[0]!;
    expect(publishing.publish(message({ topic: "$SYS/broker/uptime" }), 0, undefined, 0, -1, 0, 0)).toBe(0x10);
    expect(publishing.publish(message({ topic: "other" }), 0, undefined, 0, -1, 0, 0)).toBe(0);
    await rig.settle();
    expect([rig.status(system).stored, rig.status(all).stored]).toEqual([0, 1]);
  });
});

/**
 * The registry when workers fail. Goal: what is listed, what is on disk and what is routed agree again after every failure,
 * and an answer is never a lie. Method: chosen failures one by one; then random changes with random failures.
 */
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { CodedError } from "../../src/base/errors.ts";
import { changed, definitionOf } from "../../src/control/queue-fields.ts";
import { Registry } from "../../src/control/registry.ts";
import { KeepingWorkers } from "./keeping-workers.ts";

const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
const anyNumber = (): void => {};
const definition = (name: string) => definitionOf({ name, topic_filter: `filter/${name}`, is_lastvalue: false });

let workers: KeepingWorkers;
let registry: Registry;
let nowMs: number;

beforeEach(async () => {
  workers = new KeepingWorkers(2, 3);
  nowMs = 1_000;
  registry = new Registry({ workers, nowMs: () => nowMs, log });
  await registry.recover();
});

const listed = (): string[] => registry.list(undefined, 1_000).map((record) => record.definition.name);

/** Listed, on disk and routed by every worker are the same records. */
function expectAgreement(): void {
  const records = registry.list(undefined, 1_000);
  const names = records.map((record) => record.definition.name).sort();
  expect(workers.namesStored()).toEqual(names);
  for (const routed of workers.routed) {
    expect([...routed.keys()].sort()).toEqual(names);
    for (const record of records) expect(routed.get(record.definition.name)).toEqual(record);
  }
  for (const record of records) {
    expect(workers.stored[record.partition]!.get(record.definition.name)).toEqual(record);
  }
}

describe("a creation", () => {
  it("is on disk before any worker routes to it, and routed before it is answered", async () => {
    workers.calls.length = 0;
    const record = await registry.create(definition("q"), anyNumber);
    expect(record.createdAtMs).toBe(1_000);
    expect(workers.calls.map(({ kind }) => kind)).toEqual(["createQueue", "announceQueue", "announceQueue"]);
    expectAgreement();
  });

  it("that the owner refuses leaves nothing", async () => {
    workers.refuse("createQueue");
    await expect(registry.create(definition("q"), anyNumber)).rejects.toMatchObject({ code: "DISK_FULL" });
    expect(listed()).toEqual([]);
    expectAgreement();
  });

  it("that one worker does not follow is taken back", async () => {
    workers.refuse("announceQueue");
    await expect(registry.create(definition("q"), anyNumber)).rejects.toMatchObject({ code: "DISK_FULL" });
    expect(registry.isIncomplete).toBe(false);
    expectAgreement();
  });

  it("that cannot be taken back is removed later, and its name is not given away before", async () => {
    workers.before = (kind) => {
      if (kind === "announceQueue" || kind === "deleteQueue") throw new CodedError("IO_ERROR", "no");
    };
    await expect(registry.create(definition("q"), anyNumber)).rejects.toMatchObject({ code: "IO_ERROR" });
    expect(registry.isIncomplete).toBe(true);
    expect(listed()).toEqual([]);
    expect(workers.namesStored()).toEqual(["q"]);
    await expect(registry.create(definition("q"), anyNumber)).rejects.toMatchObject({ code: "IO_ERROR" });
    expect(workers.namesStored()).toEqual(["q"]);

    workers.before = () => undefined;
    await registry.repair();
    expect(registry.isIncomplete).toBe(false);
    expectAgreement();
    await registry.create(definition("q"), anyNumber);
    expectAgreement();
  });
});

describe("a change", () => {
  it("that the owner refuses changes nothing", async () => {
    await registry.create(definition("q"), anyNumber);
    workers.refuse("updateQueue");
    const change = registry.update("q", (current) => changed(current, { local_max_inflight: 3 }));
    await expect(change).rejects.toMatchObject({ code: "DISK_FULL" });
    expect(registry.lookUp("q").definition.local_max_inflight).toBe(10);
    expectAgreement();
  });

  it("that is on disk holds, is refused with the reason, and is announced again", async () => {
    await registry.create(definition("q"), anyNumber);
    workers.refuse("announceQueue");
    const change = registry.update("q", (current) => changed(current, { local_max_inflight: 3 }));
    await expect(change).rejects.toThrow(/stored; some workers do not follow it yet/);
    expect(registry.lookUp("q").definition.local_max_inflight).toBe(3);
    expect(registry.isIncomplete).toBe(true);
    await registry.repair();
    expectAgreement();
  });

  it("sees what the change before it did", async () => {
    await registry.create(definition("q"), anyNumber);
    const increment = () =>
      registry.update("q", (current) => ({ ...current, local_max_inflight: current.local_max_inflight + 1 }));
    await Promise.all(Array.from({ length: 20 }, increment));
    expect(registry.lookUp("q").definition.local_max_inflight).toBe(30);
    expectAgreement();
  });
});

describe("a removal", () => {
  it("stops routing before the data goes", async () => {
    await registry.create(definition("q"), anyNumber);
    workers.calls.length = 0;
    await registry.remove("q");
    expect(workers.calls.map(({ kind }) => kind)).toEqual(["retractQueue", "retractQueue", "deleteQueue"]);
    expectAgreement();
  });

  it.each(["retractQueue", "deleteQueue"] as const)("whose %s fails leaves the queue as it was", async (kind) => {
    await registry.create(definition("q"), anyNumber);
    workers.refuse(kind);
    await expect(registry.remove("q")).rejects.toMatchObject({ code: "DISK_FULL" });
    expect(listed()).toEqual(["q"]);
    expectAgreement();
  });

  it("and a removal at the same time: one finds it, one does not", async () => {
    await registry.create(definition("q"), anyNumber);
    const outcomes = await Promise.allSettled([registry.remove("q"), registry.remove("q")]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    expectAgreement();
  });
});

describe("a start", () => {
  it("takes over what the partitions hold and tells every worker, also when there are fewer workers now", async () => {
    for (const name of ["a", "b", "c", "d"]) await registry.create(definition(name), anyNumber);
    const next = new KeepingWorkers(1, 3);
    for (const [partition, records] of workers.stored.entries()) {
      for (const [name, record] of records) next.stored[partition]!.set(name, record);
    }
    workers = next;
    registry = new Registry({ workers, nowMs: () => nowMs, log });
    await registry.recover();
    expect(listed()).toEqual(["a", "b", "c", "d"]);
    expectAgreement();
  });

  it("fails when a worker does not answer it", async () => {
    workers.refuse("recovered");
    await expect(new Registry({ workers, nowMs: () => nowMs, log }).recover()).rejects.toMatchObject({
      code: "DISK_FULL",
    });
  });

  it("serves the older of two queues of one name, and says so", async () => {
    const record = { definition: definition("q"), partition: 0, target: 1, createdAtMs: 5 };
    workers.stored[0]!.set("q", record);
    workers.stored[2]!.set("q", { ...record, partition: 2, createdAtMs: 4 });
    const errors: object[] = [];
    registry = new Registry({ workers, nowMs: () => nowMs, log: { ...log, error: (fields) => errors.push(fields) } });
    await registry.recover();
    expect(registry.lookUp("q").partition).toBe(2);
    expect(errors).toEqual([{ queue: "q", served: 2, ignored: 0 }]);
  });
});

it("agrees with disk and workers after any changes and failures, once repaired", async () => {
  const step = fc.record({
    verb: fc.constantFrom("create", "create", "update", "remove", "repair"),
    name: fc.constantFrom("a", "b", "c"),
    failures: fc.array(fc.nat(8), { maxLength: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.boolean(), async (steps, isTogether) => {
      workers = new KeepingWorkers(2, 3);
      registry = new Registry({ workers, nowMs: () => nowMs, log });
      await registry.recover();
      const expected = new Map<string, number>();
      const isSure = !isTogether;

      const run = async ({ verb, name, failures }: (typeof steps)[number]): Promise<void> => {
        if (isSure) {
          let call = 0;
          workers.before = () => {
            if (failures.includes(call++)) throw new CodedError("IO_ERROR", "no");
          };
        }
        try {
          if (verb === "create") await registry.create(definition(name), anyNumber);
          if (verb === "update") {
            await registry.update(name, (current) => ({
              ...current,
              local_max_inflight: current.local_max_inflight + 1,
            }));
          }
          if (verb === "remove") await registry.remove(name);
          if (verb === "repair") await registry.repair();
        } catch (fault) {
          expect(fault).toBeInstanceOf(CodedError);
          return;
        }
        // Acknowledged: it has to be so.
        if (verb === "create") expected.set(name, 10);
        if (verb === "update") expected.set(name, registry.lookUp(name).definition.local_max_inflight);
        if (verb === "remove") expected.delete(name);
        if (isSure) expect(listed()).toEqual([...expected.keys()].sort());
      };

      if (isTogether) await Promise.all(steps.map(run));
      else for (const one of steps) await run(one);

      workers.before = () => undefined;
      await registry.repair();
      expect(registry.isIncomplete).toBe(false);
      expectAgreement();
    }),
    { numRuns: process.env.RESTANTE_TEST_SIZE === "full" ? 1_000 : 150 },
  );
});

describe("creations that come together", () => {
  it("of different names go on together, each worker hears of many at a time, and the partitions get equally many", async () => {
    workers.calls.length = 0;
    let open = 0;
    let most = 0;
    const later = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    workers.before = async (kind) => {
      if (kind !== "createQueue") return later();
      open += 1;
      most = Math.max(most, open);
      await later(); // The disk.
      open -= 1;
    };
    await Promise.all(Array.from({ length: 60 }, (_, number) => registry.create(definition(`q${number}`), anyNumber)));
    expect(most).toBe(60);
    expect(workers.calls.filter(({ kind }) => kind.startsWith("announce")).length).toBeLessThan(20);
    expect(workers.stored.map(({ size }) => size)).toEqual([20, 20, 20]);
    expectAgreement();
  });

  it("of one name make one queue", async () => {
    const creations = Array.from({ length: 5 }, () => registry.create(definition("q"), anyNumber));
    const outcomes = await Promise.allSettled(creations);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", ...Array(4).fill("rejected")]);
    for (const outcome of outcomes.slice(1)) expect(outcome).toMatchObject({ reason: { code: "ALREADY_EXISTS" } });
    expectAgreement();
  });

  it("never exceed the number of queues there may be", async () => {
    const admit = (count: number): void => {
      if (count >= 3) throw new CodedError("MAX_QUEUE_COUNT_REACHED", "no more");
    };
    const names = ["a", "b", "c", "d", "e"];
    const outcomes = await Promise.allSettled(names.map((name) => registry.create(definition(name), admit)));
    expect(outcomes.filter(({ status }) => status === "fulfilled").length).toBe(3);
    expectAgreement();
  });

  it("are through before a change that came after them, and one that came after that waits for it", async () => {
    const order: string[] = [];
    const noted = (name: string) => registry.create(definition(name), anyNumber).then(() => order.push(name));
    const before = [noted("a"), noted("b")];
    const change = registry.exclusively(async () => {
      order.push(`change of ${registry.size}`);
      await new Promise((resolve) => setImmediate(resolve));
    });
    await Promise.all([...before, change, noted("c")]);
    expect(order.slice(2)).toEqual(["change of 2", "c"]);
  });

  it("that are refused with others leave nothing", async () => {
    const first = registry.create(definition("a"), anyNumber); // Told of alone; the others are told of together.
    workers.refuse("announceQueues");
    const outcomes = await Promise.allSettled([
      first,
      ...["b", "c"].map((name) => registry.create(definition(name), anyNumber)),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected"]);
    expectAgreement();
  });
});

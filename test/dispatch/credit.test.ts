/**
 * Goal: no settlement is lost or left unseen between two threads, and a count belongs to one attachment.
 * Method: a real worker thread settles as fast as it can while this thread takes the dirty slots; examples for generations.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import ts from "typescript";
import { expect, test } from "vitest";
import { CREDIT_SLOTS_PER_OWNER, CREDIT_TABLE_SLOTS_MIN } from "../../src/base/limits.ts";
import { CreditTable, NOT_PAUSED, newCreditMemory, SESSION_WINDOW_FULL } from "../../src/dispatch/credit.ts";
import { CreditSlots, NO_CREDIT_SLOT } from "../../src/dispatch/credit-slots.ts";

test("the owner sees every settlement of another thread, at the latest when it looks once more", async () => {
  const memory = newCreditMemory(true, 1);
  const table = new CreditTable(memory);
  const slots = [0, 1, 31, 32, 33, 1_023, 1_024, 2_047, 4_095, 40_000, table.slots - 1];
  for (const slot of slots) table.open(slot, 7);
  const settlements = 200_000;
  const folder = compileCredit();
  const worker = new Worker(
    `const { workerData } = require("node:worker_threads");
     const { folder, memory, slots, settlements } = workerData;
     import(folder + "/dispatch/credit.js").then(({ CreditTable }) => {
       const table = new CreditTable(memory);
       for (let count = 0; count < settlements; count += 1) table.addSettled(slots[count % slots.length], 1);
     });`,
    { eval: true, workerData: { folder, memory, slots, settlements } },
  );
  let isOver = false;
  const over = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  void over.then(() => {
    isOver = true;
  });
  const seen = new Map<number, number>();
  const dirty = new Int32Array(table.slots);
  const take = (): void => {
    const count = table.takeDirty(dirty, table.slots);
    for (const slot of dirty.subarray(0, count)) seen.set(slot, table.settled(slot, 7));
  };
  let rounds = 0;
  while (!isOver) {
    for (let round = 0; round < 100; round += 1) take();
    rounds += 1;
    await turn();
  }
  take();
  expect(rounds, "both threads ran at once").toBeGreaterThan(1);
  rmSync(folder, { recursive: true });
  expect([...seen.keys()].sort((one, other) => one - other)).toEqual(slots);
  for (const [index, slot] of slots.entries()) {
    const own = Math.floor(settlements / slots.length) + (index < settlements % slots.length ? 1 : 0);
    expect(seen.get(slot)).toBe(own & 0xffff);
  }
});

/** Worker threads load no TypeScript: the files they need, as JavaScript in a folder of their own. */
function compileCredit(): string {
  const folder = mkdtempSync(join(tmpdir(), "restante-credit-"));
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  for (const file of ["base/assert", "base/limits", "dispatch/credit"]) {
    const source = readFileSync(join(import.meta.dirname, "../../src", `${file}.ts`), "utf8");
    const compilerOptions = { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext };
    const { outputText } = ts.transpileModule(source, {
      compilerOptions: { ...compilerOptions, verbatimModuleSyntax: true, rewriteRelativeImportExtensions: true },
    });
    mkdirSync(join(folder, dirname(file)), { recursive: true });
    writeFileSync(join(folder, `${file}.js`), outputText);
  }
  return folder;
}

test("a slot used again shows nothing of the last attachment, and nothing to it", () => {
  const slots = new CreditSlots(new CreditTable(newCreditMemory(false, 1)));
  const { table } = slots;
  const slot = slots.open();
  const old = slots.generationOf(slot);
  table.addSettled(slot, 5);
  table.setPaused(slot, SESSION_WINDOW_FULL);
  expect([table.settled(slot, old), table.paused(slot, old)]).toEqual([5, SESSION_WINDOW_FULL]);
  slots.close(slot);
  expect(slots.open()).toBe(slot);
  expect(table.settled(slot, old)).toBe(-1);
  expect(table.settled(slot, slots.generationOf(slot))).toBe(0);
  expect(table.paused(slot, slots.generationOf(slot))).toBe(NOT_PAUSED);
});

test("counts run over 65,536, generations too, and a full table says so", () => {
  const slots = new CreditSlots(new CreditTable(newCreditMemory(false, 1)));
  const { table } = slots;
  let slot = slots.open();
  for (let round = 0; round < 65_540; round += 1) {
    slots.close(slot);
    slot = slots.open();
  }
  const generation = slots.generationOf(slot);
  for (let round = 0; round < 5; round += 1) table.addSettled(slot, 20_000);
  table.setDispatched(slot, generation, 100_003);
  expect([table.settled(slot, generation), table.inFlight(slot)]).toEqual([100_000 % 65_536, 3]);
  for (let more = 1; more < table.slots; more += 1) slots.open();
  expect(slots.open()).toBe(NO_CREDIT_SLOT);
});

test.each([1, 2, 3, 8, 64])(
  "with %i workers one owner serves a fleet, and nothing beyond the slots in use is looked at",
  (workers) => {
    const table = new CreditTable(newCreditMemory(true, workers));
    expect(table.slots * workers).toBeGreaterThanOrEqual(CREDIT_SLOTS_PER_OWNER - workers * 1_024);
    expect(table.slots).toBeGreaterThanOrEqual(CREDIT_TABLE_SLOTS_MIN);
    const slots = new CreditSlots(table);
    for (let number = 0; number < 2_000; number += 1) slots.open();
    table.addSettled(5, 1);
    table.addSettled(1_500, 1);
    const dirty = new Int32Array(table.slots);
    expect([...dirty.subarray(0, table.takeDirty(dirty, 1_000))]).toEqual([5]);
    expect([...dirty.subarray(0, table.takeDirty(dirty, 2_000))]).toEqual([1_500]);
  },
);

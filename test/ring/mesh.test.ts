/**
 * Goal: rings between real threads lose nothing, keep order, wake who sleeps and never wait for each other. Method: every
 * worker sends jobs to every other through small rings and settles each job it gets; bytes, order and counts are checked in the
 * workers (mesh-worker.mjs). A lost wake-up or two rings that wait for each other is a test that does not end.
 */
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterAll, describe, expect, test } from "vitest";
import { RING_BYTES_MIN } from "../../src/base/limits.ts";
import { closeDoorbells, createDoorbells } from "../../src/ring/doorbell.ts";
import { createMesh } from "../../src/ring/mesh.ts";
import { testSeed } from "../random.ts";
import { compileRing } from "./compiled.ts";

const ROUNDS = process.env.RESTANTE_TEST_SIZE === "full" ? 10 : 1;
const compiled = compileRing();
afterAll(compiled.remove);

interface Scenario {
  readonly workers: number;
  /** To each other worker. */
  readonly jobs: number;
  /** Jobs that a worker has unsettled at one other at most. */
  readonly window: number;
  /** Ranges of body bytes, chosen from with equal chance. */
  readonly sizes: readonly (readonly [number, number])[];
  /** Up to so many milliseconds of busy waiting before a worker goes to sleep. */
  readonly dawdle: number;
  readonly drainLimit: number;
}

interface Report {
  readonly me: number;
  readonly sleeps: number;
  readonly bells: number;
  readonly full: number;
  readonly chunked: number;
  readonly jobsReceived: number;
  readonly bytesReceived: number;
}

async function run(scenario: Scenario): Promise<Report[]> {
  const mesh = createMesh(scenario.workers, 0);
  expect(mesh.ringBytes).toBe(RING_BYTES_MIN);
  const doorbells = createDoorbells(scenario.workers);
  const threads: Worker[] = [];
  try {
    const reports = Array.from({ length: scenario.workers }, (_, me) => {
      const thread = new Worker(join(import.meta.dirname, "mesh-worker.mjs"), {
        workerData: { ...scenario, folder: compiled.folder, mesh, me, doorbells, seed: testSeed },
      });
      threads.push(thread);
      return new Promise<Report>((resolve, reject) => {
        thread.once("message", resolve);
        thread.once("error", (fault) => reject(new Error(`seed ${testSeed}`, { cause: fault })));
      });
    });
    const done = await Promise.all(reports);
    for (const report of done)
      expect(report.jobsReceived, `seed ${testSeed}`).toBe(scenario.jobs * (scenario.workers - 1));
    return done;
  } finally {
    await Promise.all(threads.map((thread) => thread.terminate()));
    closeDoorbells(doorbells);
  }
}

const sum = (reports: readonly Report[], field: keyof Report): number =>
  reports.reduce((total, report) => total + report[field], 0);

describe("a mesh of rings between threads", () => {
  test("eight workers send 1 MiB payloads through 64 KiB rings, small ones between", async () => {
    const mebibyte = 1024 * 1024;
    const reports = await run({
      workers: 8,
      jobs: 4 * ROUNDS,
      window: 3,
      sizes: [
        [mebibyte, mebibyte],
        [8, 300],
      ],
      dawdle: 0,
      drainLimit: 64,
    });
    expect(sum(reports, "chunked")).toBeGreaterThan(0);
    expect(sum(reports, "full")).toBeGreaterThan(0);
  });

  test("full rings in all directions do not wait for each other", async () => {
    const reports = await run({
      workers: 3,
      jobs: 3_000 * ROUNDS,
      window: 1_000,
      sizes: [
        [8, 600],
        [600, 16_000],
      ],
      dawdle: 0.2,
      drainLimit: 20,
    });
    expect(sum(reports, "full")).toBeGreaterThan(100);
  });

  test("nobody sleeps through a job, when every job finds its reader asleep or about to sleep", async () => {
    for (const dawdle of [0, 0.005, 0.05]) {
      const reports = await run({
        workers: 2,
        jobs: 2_000 * ROUNDS,
        window: 1,
        sizes: [[8, 64]],
        dawdle,
        drainLimit: 8,
      });
      expect(sum(reports, "sleeps")).toBeGreaterThan(50);
    }
  });

  test("nobody sleeps through a bell among three, with windows and drains of every size", async () => {
    for (const [window, drainLimit] of [
      [1, 1],
      [2, 1],
      [3, 2],
      [7, 5],
    ] as const) {
      const reports = await run({
        workers: 3,
        jobs: 700 * ROUNDS,
        window,
        sizes: [[8, 200]],
        dawdle: 0.02,
        drainLimit,
      });
      expect(sum(reports, "sleeps")).toBeGreaterThan(20);
    }
  });
});

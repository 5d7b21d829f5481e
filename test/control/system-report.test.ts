/**
 * Goal: `$SYS` sums over the workers, tells only what changed, averages as documented, and speaks at whole multiples of its interval.
 * Method: the report with counts and times as arguments; the broadcast with workers that keep what they are told, and a clock that is set.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SystemBroadcast } from "../../src/control/system-broadcast.ts";
import { SYSTEM_TOPICS, SystemReport } from "../../src/control/system-report.ts";
import type { SystemValue } from "../../src/worker/commands.ts";
import { KeepingWorkers, NOTHING_COUNTED } from "./keeping-workers.ts";

const textOf = (values: readonly SystemValue[], name: string): string | undefined =>
  values.find(([topic]) => topic === `$SYS/broker/${name}`)?.[1];

describe("the report", () => {
  it("tells everything once, then what changed", () => {
    const report = new SystemReport(5_000);
    expect(report.update([NOTHING_COUNTED], 5_000).map(([topic]) => topic)).toEqual(SYSTEM_TOPICS);
    const later = report.update([{ ...NOTHING_COUNTED, connects: 0, retainedMessages: 7 }], 66_999);
    expect(textOf(later, "uptime")).toBe("61 seconds");
    const names = later.map(([topic]) => topic.replace("$SYS/broker/", "")).filter((name) => !name.startsWith("heap/"));
    expect(names).toEqual(["uptime", "retained messages/count"]);
  });

  it("sums over the workers, and remembers what was most", () => {
    const report = new SystemReport(0);
    const counts = { ...NOTHING_COUNTED, clientsConnected: 2, clientsAway: 1, subscriptions: 5, bytesSent: 10 };
    const values = report.update([counts, counts, { ...counts, clientsConnected: 0 }], 1_000);
    expect(textOf(values, "clients/connected")).toBe("4");
    expect(textOf(values, "clients/disconnected")).toBe("3");
    expect(textOf(values, "clients/total")).toBe("7");
    expect(textOf(values, "subscriptions/count")).toBe("15");
    expect(textOf(values, "bytes/sent")).toBe("30");
    const fewer = report.update([counts, NOTHING_COUNTED, NOTHING_COUNTED], 2_000);
    expect(textOf(fewer, "clients/connected")).toBe("2");
    expect(textOf(fewer, "clients/maximum")).toBeUndefined(); // Unchanged: 4.
  });

  it("averages what grows, per minute, and forgets it by 1/e", () => {
    const report = new SystemReport(0);
    let publishesReceived = 0;
    let values: SystemValue[] = [];
    for (let atMs = 10_000; atMs <= 3_600_000; atMs += 10_000) {
      publishesReceived += 100;
      values = [...values, ...report.update([{ ...NOTHING_COUNTED, publishesReceived }], atMs)];
    }
    for (const minutes of [1, 5]) {
      const load = values.findLast(([topic]) => topic === `$SYS/broker/load/publish/received/${minutes}min`)?.[1];
      expect(Number(load)).toBeCloseTo(600, 0);
    }
    const silent = report.update([{ ...NOTHING_COUNTED, publishesReceived }], 3_600_000 + 60_000);
    expect(Number(textOf(silent, "load/publish/received/1min"))).toBeCloseTo(600 / Math.E, 0);
    expect(Number(textOf(silent, "load/publish/received/5min"))).toBeCloseTo(600 * Math.exp(-1 / 5), 0);
  });

  it("stands a clock that goes back", () => {
    const report = new SystemReport(10_000);
    report.update([{ ...NOTHING_COUNTED, publishesReceived: 5 }], 20_000);
    const values = report.update([{ ...NOTHING_COUNTED, publishesReceived: 9 }], 1_000);
    for (const [, value] of values) expect(value).not.toMatch(/NaN|Infinity|^-/);
  });
});

describe("the broadcast", () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: 1_700_000_003_456 });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  function broadcast(systemIntervalMs: number): { workers: KeepingWorkers; updatesMs: number[]; it: SystemBroadcast } {
    const workers = new KeepingWorkers(3);
    const updatesMs: number[] = [];
    workers.before = (kind, worker) => {
      if (kind === "counts" && worker === 0) updatesMs.push(Date.now());
    };
    const onFault = (fault: unknown): void => {
      throw fault;
    };
    return { workers, updatesMs, it: new SystemBroadcast({ workers, systemIntervalMs, nowMs: Date.now, onFault }) };
  }

  it("comes at once, then at whole multiples of the interval, to every worker", async () => {
    const { workers, updatesMs, it: speaking } = broadcast(10_000);
    speaking.start();
    await vi.advanceTimersByTimeAsync(30_000);
    expect(updatesMs).toEqual([1_700_000_003_456, 1_700_000_010_000, 1_700_000_020_000, 1_700_000_030_000]);
    const uptimes = workers.told.filter(([topic]) => topic.endsWith("/uptime")).map(([, value]) => value);
    expect(uptimes).toEqual(
      ["0 seconds", "6 seconds", "16 seconds", "26 seconds"].flatMap((text) => [text, text, text]),
    );
    speaking.stop();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(updatesMs).toHaveLength(4);
  });

  it("waits for a worker that is behind, instead of asking it again", async () => {
    const { workers, updatesMs, it: speaking } = broadcast(1_000);
    let letGo = (): void => {};
    workers.before = (kind, worker) => {
      if (kind !== "counts" || worker !== 0) return undefined;
      updatesMs.push(Date.now());
      return new Promise((resolve) => {
        letGo = resolve;
      });
    };
    speaking.start();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(updatesMs).toHaveLength(1);
    letGo();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(updatesMs).toHaveLength(2);
    speaking.stop();
  });

  it("says nothing at an interval of 0", async () => {
    const { workers, it: silent } = broadcast(0);
    silent.start();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(workers.calls).toEqual([]);
  });
});

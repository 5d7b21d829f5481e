/**
 * Measures brokers side by side: every scenario on every peer, and all of that several times over. Repeats are the
 * outermost loop, so that a noisy minute of the machine hits every peer; compare ratios, not figures of different days.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { LoadgenResult } from "./loadgen.ts";
import type { ConsumerWindow, Peer } from "./peers.ts";
import type { Scenario, Size } from "./scenarios.ts";

export interface Measurement {
  readonly scenario: string;
  readonly peer: string;
  readonly consumerWindow: ConsumerWindow;
  readonly repeat: number;
  readonly perS: number;
  readonly result: LoadgenResult;
}

export interface BenchOptions {
  /** The first one is what the others are compared with. */
  readonly peers: readonly Peer[];
  readonly scenarios: readonly Scenario[];
  readonly consumerWindows: readonly ConsumerWindow[];
  readonly repeats: number;
  readonly size: Size;
  /** Data directories are made below it: it says which disk is measured. */
  readonly directory: string;
  readonly onMeasurement: (measurement: Measurement) => void;
}

export async function measureAll(options: BenchOptions): Promise<Measurement[]> {
  const measurements: Measurement[] = [];
  for (let repeat = 0; repeat < options.repeats; repeat++) {
    for (const scenario of options.scenarios) {
      const windows = scenario.usesConsumerWindow ? options.consumerWindows : options.consumerWindows.slice(0, 1);
      for (const consumerWindow of windows) {
        for (const peer of options.peers) {
          if (peer.hasOnlyQueues && !scenario.usesQueue) continue;
          const { perS, result } = await measure(peer, scenario, consumerWindow, options);
          const measurement = { scenario: scenario.name, peer: peer.name, consumerWindow, repeat, perS, result };
          measurements.push(measurement);
          options.onMeasurement(measurement);
        }
      }
    }
  }
  return measurements;
}

async function measure(peer: Peer, scenario: Scenario, consumerWindow: ConsumerWindow, options: BenchOptions) {
  const directory = await mkdtemp(join(options.directory, "restante-bench-"));
  const running = await peer.start(consumerWindow, directory);
  try {
    return await scenario.run(running, options.size, directory);
  } finally {
    await running.remove();
    await rm(directory, { recursive: true, force: true });
  }
}

/**
 * Goal: no turn of a worker grows with what it holds. Method: workers in one thread over logs in memory, stepped turn by turn; what a
 * turn does is counted (records settled, messages handed out), never timed.
 */
import { expect, it } from "vitest";
import { ENDED_MESSAGES_PER_TURN, HAND_OUTS_PER_TURN, PUMP_COST_HAND_OUTS } from "../../src/base/limits.ts";
import { TimerWheel } from "../../src/base/timer-wheel.ts";
import type { Attendance } from "../../src/session/session.ts";
import { SessionTimers } from "../../src/worker/session-timers.ts";
import { MemoryDisk } from "../queue/memory-log.ts";
import { Rig } from "./rig.ts";

/** The most that `count` grows by in one event until nothing happens any more, and in all. */
function growthOf(rig: Rig, count: () => number): { most: number; all: number } {
  const first = count();
  let most = 0;
  for (let before = first; rig.step(); before = count()) most = Math.max(most, count() - before);
  return { most, all: count() - first };
}

it("what waited for a session that has ended goes in steps", async () => {
  const messages = 3 * ENDED_MESSAGES_PER_TURN;
  const rig = new Rig({ disks: [new MemoryDisk()], limits: { queuedMessagesMax: messages, receiveMaximum: 65_535 } });
  const sleeper = await rig.lasting("sleeper");
  sleeper.subscribe("t", 1);
  await rig.settle();
  sleeper.close();
  const publisher = await rig.connected("publisher");
  for (let number = 1; number <= messages; number += 1) publisher.publish("t", "m", 1, number);
  await rig.settle();
  expect(rig.logs[0]!.durableRecords).toBe(messages);

  let settled = 0;
  const log = rig.logs[0]!;
  const settle = log.settle.bind(log);
  log.settle = (position) => {
    settled += 1;
    settle(position);
  };
  rig.open("sleeper", { clean: true });
  expect(growthOf(rig, () => settled)).toEqual({ most: ENDED_MESSAGES_PER_TURN, all: messages });
  for (let round = 0; round < 2; round += 1) {
    log.flush();
    await rig.settle();
  }
  expect(log.durableRecords).toBe(0);
  await rig.stop();
});

it("queues that are ready together have their turn one after the other, and those left come first", async () => {
  const perTurn = Math.ceil(HAND_OUTS_PER_TURN / (PUMP_COST_HAND_OUTS + 1));
  const queues = 2 * perTurn + 100;
  const rig = new Rig({
    disks: [new MemoryDisk()],
    limits: { subscriptionsMax: queues, inFlightMax: 65_535, receiveMaximum: 65_535 },
  });
  for (let number = 0; number < queues; number += 1) rig.createQueue({ name: `q${number}`, topic_filter: "t" });
  const consumer = await rig.connected("consumer");
  const options = { qos: 1, nl: false, rap: false, rh: 0 } as const;
  const subscriptions = Array.from({ length: queues }, (_, number) => ({ topic: `$queue/q${number}`, ...options }));
  consumer.send({ cmd: "subscribe", messageId: 1, subscriptions });
  await rig.settle();
  const publisher = await rig.connected("publisher");
  publisher.publish("t", "m", 1);
  const { most, all } = growthOf(rig, () => consumer.packets.filter(({ cmd }) => cmd === "publish").length);
  expect(all).toBe(queues);
  expect(most).toBeLessThanOrEqual(perTurn);
  expect(most).toBeGreaterThan(perTurn / 2);
  await rig.stop();
});

it("the pauses of refused clients are remembered for a bounded number of them", () => {
  const timers = new SessionTimers(new TimerWheel(0), () => 0);
  const connection = { pauseReading: () => undefined, destroy: () => undefined };
  const refuse = (clientId: string): void => timers.closeAfterPause(clientId, { connection } as unknown as Attendance);
  for (let number = 0; number < 70_000; number += 1) refuse(`client-${number}`);
  expect(timers.refusalCount).toBe(65_536);
  refuse("client-1"); // Forgotten: its first pause again.
  refuse("client-69999");
  expect(timers.refusalCount).toBe(65_536);
});

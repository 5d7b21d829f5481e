/**
 * Goal: a page of a look is cut where it must be, and says exactly whether there is more. Method: a real queue over a log in memory;
 * some messages are made unreadable, some go while the look is under way.
 */
import { expect, test } from "vitest";
import type { LookCommand } from "../../src/worker/commands.ts";
import { lookIntoQueue } from "../../src/worker/queue-look.ts";
import { Bench } from "../dispatch/bench.ts";

function look(bench: Bench, wanted: Partial<LookCommand> = {}) {
  const { record, dispatcher } = bench;
  const command: LookCommand = {
    kind: "lookIntoQueue",
    record,
    after: 0,
    limit: 100,
    bytesMax: 1e6,
    withPayload: true,
    ...wanted,
  };
  return lookIntoQueue(command, () => dispatcher.queue, bench.nowMs);
}

const textsOf = ({ messages }: Awaited<ReturnType<typeof look>>): string[] =>
  messages.map(({ payload }) => Buffer.from(payload!).toString());

function filled(texts: readonly string[]): { bench: Bench; positions: number[] } {
  const bench = new Bench({});
  for (const payload of texts) bench.publish(1, { payload });
  return { bench, positions: bench.waitingBehind(0, texts.length) };
}

function damage(bench: Bench, damaged: readonly number[]): void {
  const read = bench.log.read.bind(bench.log);
  bench.log.read = (position, into) => (damaged.includes(position) ? "damaged" : read(position, into));
}

test("what cannot be read is passed over and counted, and no page promises another for it", async () => {
  const { bench, positions } = filled(["0", "1", "2", "3", "4"]);
  damage(bench, [positions[1]!, positions[4]!]);
  const first = await look(bench, { limit: 2 });
  expect(textsOf(first)).toEqual(["0", "2"]);
  expect(first).toMatchObject({ hasNext: true, damaged: 1 });
  const second = await look(bench, { limit: 1, after: first.messages.at(-1)!.position });
  expect(textsOf(second)).toEqual(["3"]);
  expect(second).toMatchObject({ hasNext: false, damaged: 1 });
});

test("a page ends early when it has its bytes; one message larger than all of them comes alone, without its payload", async () => {
  const large = "x".repeat(1_000);
  const { bench } = filled([large, large, large, "y".repeat(5_000), "small"]);
  const pages: (readonly [number, number[]])[] = [];
  let after = 0;
  for (let hasNext = true; hasNext; ) {
    const page = await look(bench, { after, bytesMax: 2_200 });
    pages.push([page.messages.length, page.messages.map(({ payload }) => payload?.length ?? -1)]);
    after = page.messages.at(-1)!.position;
    hasNext = page.hasNext;
  }
  expect(pages).toEqual([
    [2, [1_000, 1_000]],
    [1, [1_000]],
    [1, [-1]],
    [1, [5]],
  ]);
  expect((await look(bench, { bytesMax: 2_200, withPayload: false })).messages.length).toBe(5);
});

test("what goes while the look is under way is passed over; what is expired is not shown", async () => {
  const { bench, positions } = filled(Array.from({ length: 20 }, (_, index) => String(index)));
  bench.publish(1, { payload: "expired", expiresAtMs: 1 });
  bench.nowMs = 2;
  const looking = look(bench); // Steps of a few batches, and these are a batch each.
  for (const position of positions.slice(5)) bench.dispatcher.queue.handOut(position, 0, bench.nowMs);
  expect(textsOf(await looking)).toEqual(["0", "1", "2", "3", "4"].slice(0, 5));
  expect((await look(bench)).hasNext).toBe(false);
});

test("messages aside are searched in steps, between which others are served", async () => {
  const bench = new Bench({});
  const small = bench.attach({ packetBytesMax: 5 });
  for (let each = 0; each < 5; each += 1) bench.publish(4_000);
  bench.pump();
  bench.detach(small);
  expect(bench.dispatcher.queue.parkedCount).toBe(20_000);
  let turns = 0;
  let isDone = false;
  const looking = look(bench, { limit: 5, withPayload: false }).finally(() => {
    isDone = true;
  });
  while (!isDone) {
    turns += 1;
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { messages, hasNext } = await looking;
  expect(messages.map(({ position }) => position)).toEqual(bench.waitingBehind(0, 5));
  expect(hasNext).toBe(true);
  expect(turns).toBeGreaterThanOrEqual(3);
});

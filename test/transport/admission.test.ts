/**
 * Goal: no more strangers are read in a second than may come, none at all while the process holds too much, all in their order, and none
 * that is gone.
 * Method: a clock that the test moves, and real checks by the event loop.
 */
import { expect, test } from "vitest";
import { Admission } from "../../src/transport/admission.ts";
import { ConnectGate } from "../../src/transport/connect-gate.ts";
import { eventually, pause } from "../harness/waiting.ts";

function gate(ratePerS: number) {
  const admitted: number[] = [];
  const state = { nowMs: 1_000, isOver: false };
  const connectGate = new ConnectGate({ ratePerS, isOverBudget: () => state.isOver, nowMs: () => state.nowMs });
  const admission = new Admission<number>(connectGate, (stranger) => admitted.push(stranger));
  return { admission, admitted, state };
}

const numbers = (count: number, from = 0): number[] => Array.from({ length: count }, (_, at) => from + at);

test("as many as the rate come at once, the others as time goes on, in order and without those who left", async () => {
  const { admission, admitted, state } = gate(10);
  for (const stranger of numbers(25)) admission.enter(stranger);
  expect(admitted).toEqual(numbers(10));
  admission.leave(12);
  state.nowMs += 500;
  await eventually("five more", () => admitted.length >= 15);
  await pause(100);
  expect(admitted).toEqual([...numbers(12), 13, 14, 15]);
  state.nowMs += 60_000; // A long pause saves up no more than one burst.
  await eventually("the rest", () => admitted.length === 24);
  for (const stranger of numbers(10, 100)) admission.enter(stranger);
  expect(admitted.length).toBeLessThanOrEqual(25);
  admission.close();
});

test("nobody is read while the process holds too much, and everybody after", async () => {
  const { admission, admitted, state } = gate(Number.POSITIVE_INFINITY);
  admission.enter(0);
  state.isOver = true;
  for (const stranger of numbers(5, 1)) admission.enter(stranger);
  await pause(120);
  expect(admitted).toEqual([0]);
  state.isOver = false;
  await eventually("they are read", () => admitted.length === 6);
  admission.enter(6);
  expect(admitted).toEqual(numbers(7));
  state.isOver = true;
  admission.enter(7);
  admission.close();
  state.isOver = false;
  await pause(80);
  expect(admitted).toEqual(numbers(7));
});

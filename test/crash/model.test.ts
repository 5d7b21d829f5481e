/**
 * Goal: the model of the crash test notices what it is there to notice.
 * Method: short stories with one thing wrong, and one with nothing wrong.
 */
import { expect, it } from "vitest";
import { QueueModel } from "./model.ts";

const SYNC_MS = 100;

function modelWith(...ids: readonly string[]): QueueModel {
  const model = new QueueModel(SYNC_MS);
  for (const id of ids) {
    model.onSent(id);
    model.onPublisherAcknowledged(id);
  }
  return model;
}

it("accepts what may happen", () => {
  const model = modelWith("a", "b");
  model.onSent("never acknowledged");
  model.onDelivered("a", false, 1);
  model.onConsumerAcknowledged("a", 1_000);
  model.onDelivered("b", false, 1);
  model.onConnectionEnded(1);
  model.onDelivered("b", true, 2);
  model.onKilled(1_050);
  model.onDelivered("a", true, 3); // Its acknowledgement was 50 ms old.
  model.onConsumerAcknowledged("a", 1_100);
  model.onDelivered("b", true, 3);
  model.onConsumerAcknowledged("b", 1_100);
  expect([model.faults, model.lost(), model.owed(), model.repeatedCount]).toEqual([[], [], [], 2]);
});

it("notices loss", () => {
  const model = modelWith("a", "b");
  model.onDelivered("a", false, 1);
  model.onConnectionEnded(1);
  expect([model.lost(), model.owed()]).toEqual([["b"], ["a", "b"]]);
});

it("notices an invention", () => {
  const model = modelWith("a");
  model.onDelivered("b", false, 1);
  expect(model.faults).toHaveLength(1);
});

it("notices two holders", () => {
  const model = modelWith("a");
  model.onDelivered("a", false, 1);
  model.onDelivered("a", true, 2);
  expect(model.faults).toHaveLength(1);
});

it("notices a repetition without DUP", () => {
  const model = modelWith("a");
  model.onDelivered("a", false, 1);
  model.onConnectionEnded(1);
  model.onDelivered("a", false, 2);
  expect(model.faults).toHaveLength(1);
});

it("notices a repetition after the acknowledgement", () => {
  const model = modelWith("a");
  model.onDelivered("a", false, 1);
  model.onConsumerAcknowledged("a", 1_000);
  model.onDelivered("a", true, 2);
  expect(model.faults).toHaveLength(1);
});

it("notices a repetition after an acknowledgement that must have been on disk", () => {
  const model = modelWith("a");
  model.onDelivered("a", false, 1);
  model.onConsumerAcknowledged("a", 1_000);
  model.onKilled(1_000 + SYNC_MS + 1);
  model.onDelivered("a", true, 2);
  expect(model.faults).toHaveLength(1);
});

import { expect } from "vitest";
import { RawClient } from "./raw-mqtt.ts";
import { unique } from "./servers.ts";

/** Proves that no PUBLISH (more) has come for `client`, by one that comes after it. */
export async function expectNothingMore(port: number, client: RawClient): Promise<void> {
  const fence = unique("fence");
  await client.subscribe(fence, { qos: 1 });
  const sender = await RawClient.connected(port, unique("fencer"));
  await sender.publishSettled(fence, "fence", { qos: 1 });
  expect(await client.receiveTexts(1)).toEqual(["fence"]);
  await sender.end();
}

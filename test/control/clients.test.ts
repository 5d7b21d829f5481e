/** `DELETE /clients/:clientid`, over HTTP: who may, what it answers. That the client goes is shown end to end. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { ADMINISTRATOR, ask, fetchAs, PUBLISHER, type Running, startControl, VIEWER } from "./fixture.ts";

let running: Running;
beforeEach(async () => {
  running = await startControl();
});
afterEach(() => running.control.close(0));

it("ends a client's session once", async () => {
  running.workers.clients.add("a/b");
  const path = `/clients/${encodeURIComponent("a/b")}`;
  expect((await ask(running, "DELETE", path)).status).toBe(204);
  const again = await ask(running, "DELETE", path);
  expect(again.status).toBe(404);
  expect(again.json).toEqual({ code: "CLIENTID_NOT_FOUND", message: "Client ID not found" });
});

it("is for administrators", async () => {
  running.workers.clients.add("one");
  for (const key of [VIEWER, PUBLISHER]) {
    expect((await fetchAs(running, key, "DELETE", "/clients/one")).status).toBe(403);
  }
  expect((await fetchAs(running, ADMINISTRATOR, "DELETE", "/clients/one")).status).toBe(204);
});

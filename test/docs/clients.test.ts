/**
 * Goal: docs/clients.md says which clients are run over which transports in which versions, and no more.
 * Method: its table is compared with the matrix that the suite runs.
 */
import { expect, it } from "vitest";
import { STOCK_CLIENTS, TRANSPORTS } from "../harness/stock.ts";
import { pageOf, read, rowsOf } from "./pages.ts";

const rows = rowsOf(pageOf("docs/clients.md").text);

it("has a row for every client and transport that is run, and no other", () => {
  const run = STOCK_CLIENTS.flatMap(({ name, transports }) =>
    transports.map((transport) => [name, TRANSPORTS[transport].title, "yes", "yes"]),
  );
  expect(rows.map(([name, _version, over, ...levels]) => [name, over, ...levels])).toEqual(run);
});

it("names the version of MQTT.js that is installed", () => {
  const { version } = JSON.parse(read("node_modules/mqtt/package.json")) as { version: string };
  for (const [name, said] of rows) if (name === "MQTT.js") expect(said).toBe(version);
});

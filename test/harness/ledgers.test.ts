/**
 * Goal: the harness's look at the ledgers finds what is wrong.
 * Method: a server that answers like a broker whose third queue, on the second page, has lost a message.
 */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Counts, checkLedgers, ledgerFault } from "./ledgers.ts";

const good: Counts = {
  name: "good",
  stored: 36,
  waiting: 1,
  in_flight: 2,
  acknowledged: 3,
  expired: 4,
  superseded: 5,
  dropped: 6,
  dead_lettered: 7,
  purged: 8,
  refused: 9,
  waiting_bytes: 100,
  difference: 0,
};

describe("a queue's counts", () => {
  it("that add up are no fault", () => {
    expect(ledgerFault(good)).toBeUndefined();
  });

  it.each([
    ["a message too few", { ...good, waiting: 0 }, "the ledger differs by 1, and says 0"],
    ["a message too many", { ...good, acknowledged: 4 }, "the ledger differs by -1, and says 0"],
    ["a difference that it admits", { ...good, difference: 1 }, "the ledger differs by 0, and says 1"],
    ["less than nothing", { ...good, in_flight: -1, waiting: 4 }, "in_flight"],
    ["half a message", { ...good, expired: 4.5, purged: 7.5 }, "expired, purged"],
    ["no count", { ...good, refused: undefined as unknown as number }, "refused"],
  ])("with %s are one", (_title, status, fault) => {
    expect(ledgerFault(status)).toContain(fault);
  });
});

describe("a broker's ledgers", () => {
  let server: Server;
  let url: string;
  let isBroken: boolean;

  beforeEach(async () => {
    server = createServer((incoming, response) => {
      const path = incoming.url ?? "";
      const name = /queues\/(\w+)\/status$/.exec(path)?.[1];
      const isSecondPage = path.includes("cursor=next");
      const page = isSecondPage
        ? { data: [{ name: "third" }], meta: { hasnext: false } }
        : { data: [{ name: "first" }, { name: "second" }], meta: { hasnext: true, cursor: "next" } };
      const waiting = name === "third" && isBroken ? 0 : good.waiting;
      response.end(JSON.stringify(name === undefined ? page : { ...good, name, waiting }));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterEach(() => server.close());

  it("are all looked at", async () => {
    isBroken = false;
    await checkLedgers({ url });
    isBroken = true;
    await expect(checkLedgers({ url })).rejects.toThrow("third: the ledger differs by 1");
  });
});

/**
 * The contract suite of an HTTP server: what src/control/http.ts promises, for every implementation. Real sockets on the
 * loopback; deadlines are short, and no test asserts how long anything took.
 */
import { setTimeout as pause } from "node:timers/promises";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type {
  HttpAddress,
  HttpBounds,
  HttpHandler,
  HttpHead,
  HttpResponse,
  HttpServer,
  HttpServerOptions,
} from "../../src/control/http.ts";
import { exchange, open, statusesOf } from "./raw-http.ts";

const ROUNDS = process.env.RESTANTE_TEST_SIZE === "full" ? 2_000 : 100;

const BOUNDS: HttpBounds = {
  connectionsMax: 20,
  headerBytesMax: 8 * 1024,
  headDeadlineMs: 400,
  requestDeadlineMs: 800,
  responseDeadlineMs: 800,
  keepAliveMs: 2_000,
  pipelinedRequestsMax: 8,
  bodiesBytesMax: 64 * 1024,
};
const BODY_BYTES_MAX = 32 * 1024;
/** The answer is enough: the server may read on for a moment before it closes. */
const ANSWERED = { until: /\r\n\r\n/ };

const plain = (status: number, body: string): HttpResponse => ({
  status,
  headers: { "Content-Type": "text/plain" },
  body,
});

export function httpContract(name: string, create: (options: HttpServerOptions) => HttpServer): void {
  describe(`${name} keeps the HTTP contract`, () => {
    let server: HttpServer;
    let address: HttpAddress;
    let faults: unknown[];
    let heads: HttpHead[];
    let bodies: Buffer[];
    let release: () => void;
    let respond: (head: HttpHead, body: Buffer) => Promise<HttpResponse>;

    const handler: HttpHandler = (head) => {
      heads.push(head);
      if (head.path === "/refused") return plain(401, "no");
      if (head.path === "/broken-head") throw new Error("planted in the head");
      return {
        bodyBytesMax: BODY_BYTES_MAX,
        respond: (body) => {
          bodies.push(body);
          return respond(head, body);
        },
      };
    };

    const start = async (bounds: Partial<HttpBounds> = {}): Promise<void> => {
      server = create({ handler, bounds: { ...BOUNDS, ...bounds }, onFault: (fault) => faults.push(fault) });
      address = await server.listen("127.0.0.1", 0);
    };
    const restart = async (bounds: Partial<HttpBounds>): Promise<void> => {
      await server.close(0);
      await start(bounds);
    };
    const request = (text: string, options = {}) => exchange(address.port, [text], options);
    const isAlive = async (): Promise<boolean> => {
      const { text } = await request("GET /alive HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
      return statusesOf(text)[0] === 200;
    };

    beforeEach(async () => {
      faults = [];
      heads = [];
      bodies = [];
      release = () => undefined;
      respond = async (_head, body) => plain(200, `got ${body.length}`);
      await start();
    });
    afterEach(async () => {
      release();
      await server.close(0);
    });

    it("gives the head as it was sent, names in lower case", async () => {
      await request(
        "PUT /a%2Fb/c?x=%20y&z HTTP/1.1\r\nHost: h\r\nX-Thing: One\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
      );
      expect(heads[0]).toMatchObject({ method: "PUT", path: "/a%2Fb/c", query: "x=%20y&z" });
      expect(heads[0]!.headers.get("x-thing")).toBe("One");
    });

    it("understands a target in absolute form", async () => {
      await request("GET http://host:1/a?b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
      expect(heads[0]).toMatchObject({ path: "/a", query: "b" });
    });

    it("gives a body of declared length and one in chunks, whole", async () => {
      await request("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
      await request(
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
      );
      expect(bodies.map(String)).toEqual(["hello", "abcde"]);
    });

    it("answers HEAD like GET, without the body", async () => {
      const { text } = await request("HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
      expect(heads[0]!.method).toBe("GET");
      expect(statusesOf(text)).toEqual([200]);
      expect(text).toMatch(/content-length: 5/i);
      expect(text.endsWith("\r\n\r\n")).toBe(true);
    });

    it("keeps a connection for the next request and answers pipelined requests in order", async () => {
      respond = async (head) => {
        if (head.path === "/1") await pause(30);
        return plain(200, `answer ${head.path};`);
      };
      const get = (path: string, last = "") => `GET ${path} HTTP/1.1\r\nHost: h\r\n${last}\r\n`;
      const { text } = await request(get("/1") + get("/2") + get("/3", "Connection: close\r\n"));
      expect(text.match(/answer \/\d/g)).toEqual(["answer /1", "answer /2", "answer /3"]);
    });

    it("sends a refusal of the head without reading the body", async () => {
      const { text } = await exchange(
        address.port,
        ["POST /refused HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\n", Buffer.alloc(16 * 1024)],
        ANSWERED,
      );
      expect(statusesOf(text)).toEqual([401]);
      expect(bodies).toEqual([]);
    });

    it("answers 413 to a declared length above the bound, before any of it", async () => {
      const { text } = await request(
        `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${BODY_BYTES_MAX + 1}\r\n\r\n`,
        ANSWERED,
      );
      expect(statusesOf(text)).toEqual([413]);
      expect(bodies).toEqual([]);
    });

    it("answers 413 to chunks that grow above the bound, and cuts one who never stops", async () => {
      const chunk = `4000\r\n${"x".repeat(0x4000)}\r\n`;
      const head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
      const { text, isClosed } = await exchange(address.port, [head, ...new Array<string>(200).fill(chunk)]);
      expect(statusesOf(text)).toEqual([413]);
      expect(isClosed).toBe(true);
      expect(bodies).toEqual([]);
    });

    it("takes a body of exactly the bound", async () => {
      const body = "x".repeat(BODY_BYTES_MAX);
      await request(`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`);
      expect(bodies[0]?.length).toBe(BODY_BYTES_MAX);
    });

    it("bounds the bodies of all connections together, and gives the room back", async () => {
      const sockets = await Promise.all([1, 2, 3].map(() => open(address.port)));
      const texts = sockets.map((socket) => {
        const answer = { text: "" };
        socket.on("data", (piece) => {
          answer.text += piece.toString("latin1");
        });
        socket.on("error", () => undefined);
        return answer;
      });
      const most = BODY_BYTES_MAX - 1_000;
      for (const socket of sockets) {
        socket.write(`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${BODY_BYTES_MAX}\r\n\r\n`);
        socket.write("x".repeat(most));
      }
      await pause(200);
      expect(texts.flatMap(({ text }) => statusesOf(text))).toEqual([503]);
      for (const socket of sockets) socket.destroy();
      await pause(50);
      const body = "x".repeat(BODY_BYTES_MAX);
      const { text } = await request(
        `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
      );
      expect(statusesOf(text)).toEqual([200]);
    });

    it("invites a body with 100 Continue only when it will take it", async () => {
      const head = (path: string, bytes: number) =>
        `POST ${path} HTTP/1.1\r\nHost: h\r\nContent-Length: ${bytes}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n`;
      const taken = await exchange(address.port, [head("/", 5), "hello"], { pauseMs: 50 });
      expect(statusesOf(taken.text)).toEqual([100, 200]);
      const refused = await exchange(address.port, [head("/refused", 5)], ANSWERED);
      expect(statusesOf(refused.text)).toEqual([401]);
      const large = await exchange(address.port, [head("/", BODY_BYTES_MAX + 1)], ANSWERED);
      expect(statusesOf(large.text)).toEqual([413]);
    });

    it("answers 417 to any other expectation", async () => {
      const { text } = await request("GET / HTTP/1.1\r\nHost: h\r\nExpect: a-miracle\r\nConnection: close\r\n\r\n");
      expect(statusesOf(text)).toEqual([417]);
    });

    it("answers 431 to headers above the bound, one long or many short", async () => {
      const long = await request(`GET / HTTP/1.1\r\nHost: h\r\nX: ${"x".repeat(9_000)}\r\n\r\n`);
      expect(statusesOf(long.text)).toEqual([431]);
      const many = Array.from({ length: 800 }, (_, index) => `X-${index}: 1234567890\r\n`).join("");
      expect(statusesOf((await request(`GET / HTTP/1.1\r\nHost: h\r\n${many}\r\n`)).text)).toEqual([431]);
      expect(heads).toEqual([]);
    });

    it("answers 408 to a head that comes byte by byte", async () => {
      const bytes = [..."GET / HTTP/1.1\r\nHost: h\r\nX-Slow: yes, very slow indeed, and going on\r\n"];
      const { text, isClosed } = await exchange(address.port, bytes, { pauseMs: 40 });
      expect(statusesOf(text)).toEqual([408]);
      expect(isClosed).toBe(true);
      expect(heads).toEqual([]);
    });

    it("closes a connection on which nothing comes", async () => {
      const { isClosed } = await exchange(address.port, []);
      expect(isClosed).toBe(true);
    });

    it("answers 408 to a body that comes byte by byte", async () => {
      const head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n";
      const { text, isClosed } = await exchange(address.port, [head, ...new Array<string>(100).fill("x")], {
        pauseMs: 30,
      });
      expect(statusesOf(text)).toEqual([408]);
      expect(isClosed).toBe(true);
      expect(bodies).toEqual([]);
    });

    it("cuts a client that does not take its answer", async () => {
      respond = async () => plain(200, "x".repeat(32 * 1024 * 1024));
      const socket = await open(address.port);
      socket.pause();
      socket.on("error", () => undefined);
      socket.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
      await pause(BOUNDS.responseDeadlineMs + 600);
      let bytes = 0;
      const closed = new Promise((resolve) => socket.once("close", resolve));
      socket.on("data", (piece) => {
        bytes += piece.length;
      });
      socket.resume();
      await closed;
      expect(bytes).toBeLessThan(32 * 1024 * 1024);
    });

    it("lets the oldest idle connection make room for a new one", async () => {
      await restart({ connectionsMax: 3, headDeadlineMs: 60_000, requestDeadlineMs: 60_000 });
      const sockets = await Promise.all([1, 2, 3].map(() => open(address.port)));
      for (const socket of sockets) socket.on("error", () => undefined).resume();
      await pause(50);
      expect(await isAlive()).toBe(true);
      await pause(50);
      expect(sockets.map(({ destroyed, readableEnded }) => destroyed || readableEnded).filter(Boolean)).toHaveLength(1);
      for (const socket of sockets) socket.destroy();
    });

    it("takes no more connections than its bound when all of them are busy", async () => {
      await restart({ connectionsMax: 3, headDeadlineMs: 60_000, requestDeadlineMs: 60_000 });
      const waiting = new Promise<void>((resolve) => {
        release = resolve;
      });
      respond = async () => {
        await waiting;
        return plain(200, "at last");
      };
      const running = [1, 2, 3].map(() => request("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
      await pause(100);
      expect(await request("GET / HTTP/1.1\r\nHost: h\r\n\r\n")).toEqual({ text: "", isClosed: true });
      release();
      for (const { text } of await Promise.all(running)) expect(text).toMatch(/at last/);
      expect(await isAlive()).toBe(true);
    });

    it("cuts a client that pipelines without end", async () => {
      const waiting = new Promise<void>((resolve) => {
        release = resolve;
      });
      respond = async () => {
        await waiting;
        return plain(200, "at last");
      };
      const { isClosed } = await request("GET / HTTP/1.1\r\nHost: h\r\n\r\n".repeat(500));
      expect(isClosed).toBe(true);
      expect(bodies.length).toBeLessThanOrEqual(BOUNDS.pipelinedRequestsMax + 1);
      release();
      respond = async () => plain(200, "");
      expect(await isAlive()).toBe(true);
    });

    it("answers 500 without a word of the fault, and reports it", async () => {
      const first = await request("GET /broken-head HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
      respond = async () => {
        throw new Error("planted in the answer");
      };
      const second = await request("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
      expect(statusesOf(first.text + second.text)).toEqual([500, 500]);
      expect(first.text + second.text).not.toMatch(/planted/);
      expect(faults.map(String)).toEqual(["Error: planted in the head", "Error: planted in the answer"]);
    });

    it("refuses what can be read in two ways: both lengths, two hosts' worth of nothing, a bare line feed", async () => {
      const both = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
      const twoLengths = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc";
      const noHost = "GET / HTTP/1.1\r\n\r\n";
      for (const text of [both, twoLengths, noHost]) expect(statusesOf((await request(text)).text)).toEqual([400]);
      expect(bodies).toEqual([]);
    });

    it("survives whatever bytes come", async () => {
      const piece = fc.oneof(
        fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
        fc
          .constantFrom(
            "GET ",
            "POST / HTTP/1.1\r\n",
            "\r\n",
            "\r\n\r\n",
            "Host: h\r\n",
            "Content-Length: -1\r\n",
            "\0",
          )
          .map((text) => Buffer.from(text)),
        fc
          .constantFrom(
            "Transfer-Encoding: chunked\r\n",
            "ffffffffffffffff\r\n",
            "Upgrade: websocket\r\nConnection: upgrade\r\n",
          )
          .map((text) => Buffer.from(text)),
        fc
          .constantFrom("CONNECT h:1 HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x16\x03\x01")
          .map((text) => Buffer.from(text)),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(piece, { maxLength: 8 }), async (pieces) => {
          const socket = await open(address.port);
          socket.on("error", () => undefined);
          socket.resume();
          socket.end(Buffer.concat(pieces));
          await new Promise((resolve) => socket.once("close", resolve));
        }),
        { numRuns: ROUNDS },
      );
      expect(faults).toEqual([]);
      expect(await isAlive()).toBe(true);
    });

    it("forgets a client that leaves in the middle of its body or before its answer", async () => {
      const half = await open(address.port);
      half.write("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
      await pause(20);
      half.destroy();
      const waiting = new Promise<void>((resolve) => {
        release = resolve;
      });
      respond = async () => {
        await waiting;
        return plain(200, "nobody reads this");
      };
      const gone = await open(address.port);
      gone.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
      await pause(20);
      gone.destroy();
      await pause(20);
      release();
      respond = async () => plain(200, "");
      expect(await isAlive()).toBe(true);
      expect(faults).toEqual([]);
    });

    it("lets running requests end on close and takes no new ones", async () => {
      respond = async () => {
        await pause(100);
        return plain(200, "finished");
      };
      const running = request("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
      await pause(30);
      await server.close(2_000);
      const { text } = await running;
      expect(text).toMatch(/finished/);
      await expect(open(address.port)).rejects.toThrow(/ECONNREFUSED/);
    });

    it("cuts what does not end within the grace", async () => {
      const waiting = new Promise<void>((resolve) => {
        release = resolve;
      });
      respond = async () => {
        await waiting;
        return plain(200, "");
      };
      const running = request("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
      await pause(30);
      await server.close(20);
      await server.close(20);
      expect(await running).toEqual({ text: "", isClosed: true });
    });

    it("says LISTEN_FAILED for a port that is taken", async () => {
      const other = create({ handler, bounds: BOUNDS, onFault: () => undefined });
      await expect(other.listen("127.0.0.1", address.port)).rejects.toMatchObject({ code: "LISTEN_FAILED" });
    });
  });
}

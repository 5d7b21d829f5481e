/**
 * Publishing over REST. Goal: the workers get exactly the message that the body describes, and the answer says what became
 * of it. Method: bodies over HTTP; what reached the workers is compared byte by byte.
 */
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { CodedError } from "../../src/base/errors.ts";
import { type Answer, ask, fetchAs, PUBLISHER, type Running, startControl } from "./fixture.ts";

let running: Running;
beforeAll(async () => {
  running = await startControl();
});
afterAll(() => running.control.close(0));
afterEach(() => {
  running.workers.published.length = 0;
  running.workers.reasonCode = 0;
  running.workers.before = () => undefined;
});

const publish = (body: unknown): Promise<Answer> => fetchAs(running, PUBLISHER, "POST", "/publish", body);
const bulk = (body: unknown): Promise<Answer> => fetchAs(running, PUBLISHER, "POST", "/publish/bulk", body);
const last = () => running.workers.published.at(-1)!;

describe("the message", () => {
  it("has QoS 0, no retain and no properties unless it says so", async () => {
    const answer = await publish({ topic: "a/b", payload: "héllo" });
    expect(answer.status).toBe(200);
    expect(answer.json).toEqual({ id: expect.stringMatching(/^[0-9A-F]{32}$/) });
    expect(last()).toMatchObject({ topic: "a/b", qos: 0, retain: false, properties: {} });
    expect(Buffer.from(last().payload).toString("utf8")).toBe("héllo");
    expect(running.workers.calls.at(-1)).toEqual({ worker: running.workers.workerOf("http_api"), kind: "publish" });
  });

  it("has everything that MQTT 5 can carry", async () => {
    await publish({
      topic: "a",
      payload: "x",
      qos: 2,
      retain: true,
      clientid: "ignored",
      properties: {
        payload_format_indicator: 1,
        message_expiry_interval: 60,
        response_topic: "re/ply",
        correlation_data: "né",
        content_type: "text/plain",
        user_properties: { one: "1", many: ["2", "3"], __proto__x: "4" },
      },
    });
    expect(last()).toMatchObject({
      qos: 2,
      retain: true,
      properties: {
        payloadFormatIndicator: 1,
        messageExpiryIntervalS: 60,
        responseTopic: "re/ply",
        contentType: "text/plain",
        userProperties: [
          ["one", "1"],
          ["many", "2"],
          ["many", "3"],
          ["__proto__x", "4"],
        ],
      },
    });
    expect(Buffer.from(last().properties.correlationData!).toString("utf8")).toBe("né");
  });

  it("may have a user property named __proto__ like any other", async () => {
    const answer = await publish(
      '{"topic":"a","payload":"x","properties":{"user_properties":{"__proto__":"p","constructor":"c"}}}',
    );
    expect(answer.status).toBe(200);
    expect(last().properties.userProperties).toEqual([
      ["__proto__", "p"],
      ["constructor", "c"],
    ]);
  });

  it("carries any bytes as base64, under either name of the field", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 300 }),
        fc.constantFrom("payload_encoding", "encoding"),
        async (bytes, field) => {
          const answer = await publish({
            topic: "a",
            payload: Buffer.from(bytes).toString("base64"),
            [field]: "base64",
          });
          expect(answer.status).toBe(200);
          expect(Buffer.from(last().payload).equals(bytes)).toBe(true);
        },
      ),
      { numRuns: 30 },
    );
  });

  it("carries any text as it is", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary" }), async (text) => {
        expect((await publish({ topic: "a", payload: text })).status).toBe(200);
        expect(Buffer.from(last().payload).toString("utf8")).toBe(text);
      }),
      { numRuns: 30 },
    );
  });
});

describe("a body at fault", () => {
  it.each([
    [{ payload: "x" }, "topic: this field is required"],
    [{ topic: "a" }, "payload: this field is required"],
    [{ topic: "a", payload: { json: 1 } }, /^payload: expected a string/],
    [{ topic: "a", payload: "x", qos: 3 }, /^qos: expected an integer from 0 to 2/],
    [{ topic: "a", payload: "x", qos: "1" }, /^qos: /],
    [{ topic: "a", payload: "x", retain: 1 }, /^retain: /],
    [{ topic: "a", payload: "x", payload_encoding: "hex" }, /^payload_encoding: expected one of plain, base64/],
    [{ topic: "a", payload: "x", colour: 1 }, "colour: unknown field"],
    [{ topic: "a", payload: "x", properties: { colour: 1 } }, "properties.colour: unknown field"],
    [{ topic: "a", payload: "x", properties: { response_topic: "a/#" } }, /^properties\.response_topic: /],
    [
      { topic: "a", payload: "x", properties: { message_expiry_interval: -1 } },
      /^properties\.message_expiry_interval: /,
    ],
    [{ topic: "a", payload: "x", properties: { content_type: "a\0" } }, /^properties\.content_type: /],
    [{ topic: "a", payload: "x", properties: { user_properties: { k: 1 } } }, /^properties\.user_properties: k: /],
    [
      { topic: "a", payload: "x", properties: { user_properties: { k: ["\ud800"] } } },
      /^properties\.user_properties: k: /,
    ],
    [
      { topic: "a", payload: "x", properties: { user_properties: [] } },
      /^properties\.user_properties: expected a JSON object/,
    ],
    [{ topic: "a", payload: "x", properties: { user_properties: { k: Array(300).fill("v") } } }, /more than 256/],
  ])("%j is 400", async (body, message) => {
    const answer = await publish(body);
    expect(answer.status).toBe(400);
    expect(answer.json.code).toBe("BAD_REQUEST");
    expect(answer.json.message).toEqual(typeof message === "string" ? message : expect.stringMatching(message));
    expect(running.workers.published).toEqual([]);
  });

  it.each([
    ["", 144],
    ["a/#", 144],
    ["+", 144],
    ["a\0", 144],
    ["$SYS/x", 144],
    ["$queue/x", 144],
    ["$q/x", 144],
    ["$share/g/x", 144],
  ])("with the topic %j is 400 with reason code %i", async (topic, reasonCode) => {
    const answer = await publish({ topic, payload: "x" });
    expect(answer).toMatchObject({ status: 400, json: { reason_code: reasonCode, message: "topic_name_invalid" } });
    expect(running.workers.published).toEqual([]);
  });

  it("may publish under other $ roots", async () => {
    expect((await publish({ topic: "$mine/x", payload: "x" })).status).toBe(200);
  });

  it("with a payload too large is 400 with reason code 151; at the bound it passes", async () => {
    const large = await publish({ topic: "a", payload: "x".repeat(64 * 1024 + 1) });
    expect(large).toMatchObject({ status: 400, json: { reason_code: 151, message: "packet_too_large" } });
    expect((await publish({ topic: "a", payload: "x".repeat(64 * 1024) })).status).toBe(200);
  });

  it("with a payload that breaks its own word is 400", async () => {
    const base64 = await publish({ topic: "a", payload: "no base64!", payload_encoding: "base64" });
    expect(base64).toMatchObject({ status: 400, json: { reason_code: 131 } });
    const payload = Buffer.from([0xff]).toString("base64");
    const format = await publish({
      topic: "a",
      payload,
      encoding: "base64",
      properties: { payload_format_indicator: 1 },
    });
    expect(format).toMatchObject({ status: 400, json: { reason_code: 153, message: "payload_format_invalid" } });
  });
});

describe("what became of it", () => {
  it.each([
    [0x00, 200, undefined],
    [0x10, 202, "no_matching_subscribers"],
    [0x83, 503, "The message could not be stored"],
    [0x88, 503, undefined],
    [0x90, 400, "topic_name_invalid"],
    [0x97, 400, "quota_exceeded"],
    [0x87, 400, undefined],
  ])("reason code %i is %i", async (reasonCode, status, message) => {
    running.workers.reasonCode = reasonCode;
    const answer = await publish({ topic: "a", payload: "x" });
    expect(answer.status).toBe(status);
    if (reasonCode >= 0x10) expect(answer.json.reason_code).toBe(reasonCode);
    if (message !== undefined) expect(answer.json.message).toBe(message);
    expect(answer.headers.has("retry-after")).toBe(status === 503);
  });

  it("is 503 when the worker cannot, 400 when a queue will not", async () => {
    running.workers.refuse("publish");
    expect(await publish({ topic: "a", payload: "x" })).toMatchObject({ status: 503, json: { reason_code: 131 } });
    running.workers.refuse("publish", 1, new CodedError("QUEUE_LIMIT_REACHED", "full"));
    expect(await publish({ topic: "a", payload: "x" })).toMatchObject({ status: 400, json: { reason_code: 151 } });
  });
});

describe("bulk", () => {
  it("publishes in order and answers for each", async () => {
    const messages = Array.from({ length: 600 }, (_, index) => ({ topic: "a", payload: String(index) }));
    const answer = await bulk(messages);
    expect(answer.status).toBe(200);
    expect(answer.json).toHaveLength(600);
    expect(new Set(answer.json.map(({ id }: { id: string }) => id)).size).toBe(600);
    expect(running.workers.published.map(({ payload }) => Buffer.from(payload).toString())).toEqual(
      messages.map(({ payload }) => payload),
    );
  });

  it("is 202 when one had no subscriber, 503 when one could not be stored", async () => {
    running.workers.judge = ({ payload }) => (Buffer.from(payload).toString() === "2" ? 0x10 : 0);
    const messages = [1, 2, 3].map((number) => ({ topic: "a", payload: String(number) }));
    const some = await bulk(messages);
    expect(some.status).toBe(202);
    expect(some.json[1]).toEqual({ reason_code: 16, message: "no_matching_subscribers" });
    expect(some.json[2]).toHaveProperty("id");
    running.workers.refuse("publish");
    expect((await bulk(messages)).status).toBe(503);
  });

  it("publishes nothing when one is at fault, and says which", async () => {
    const shape = await bulk([{ topic: "a", payload: "x" }, { topic: "a" }]);
    expect(shape).toMatchObject({ status: 400, json: { message: "[1] payload: this field is required" } });
    const topic = await bulk([
      { topic: "a", payload: "x" },
      { topic: "#", payload: "x" },
    ]);
    expect(topic.status).toBe(400);
    expect(topic.json.map(({ reason_code }: { reason_code: number }) => reason_code)).toEqual([131, 144]);
    expect((await bulk({})).status).toBe(400);
    expect((await ask(running, "POST", "/publish/bulk", Array(10_001).fill(0))).status).toBe(400);
    expect(running.workers.published).toEqual([]);
  });

  it("of nothing is nothing", async () => {
    expect(await bulk([])).toMatchObject({ status: 200, json: [] });
  });
});

/**
 * What waits in a queue: looked at page by page, or removed. `…/:name/messages` below every spelling of a queue's path.
 */
import { isUtf8 } from "node:buffer";
import { CodedError } from "../base/errors.ts";
import { REST_IDLE_BODY_BYTES_MAX, REST_LOOK_BYTES_MAX } from "../base/limits.ts";
import type { PublishProperties } from "../mqtt/publish-properties.ts";
import type { QueueLook, WaitingMessage } from "../worker/commands.ts";
import { jsonResponse } from "./answers.ts";
import { cursorOf, pageRequestOf } from "./page.ts";
import type { QueuesConfigStore } from "./queues-config.ts";
import type { Registry } from "./registry.ts";
import { READERS, type Route, WRITERS } from "./route.ts";

type PayloadForm = "none" | "plain" | "base64";

/** Of the queue at `pattern`. */
export function queueMessageRoutes(pattern: string, registry: Registry, config: QueuesConfigStore): readonly Route[] {
  const common = {
    pattern: `${pattern}/messages`,
    readsBody: false,
    bodyBytesMax: REST_IDLE_BODY_BYTES_MAX,
    needsReady: true,
  } as const;
  return [
    {
      ...common,
      method: "GET",
      access: { roles: READERS, scope: "connections" },
      prepare({ params, query }) {
        const { limit, after } = pageRequestOf(query, 1);
        const form = payloadFormOf(query.get("payload"));
        const place = after === undefined ? 0 : positionOf(after[0]!);
        return async () => {
          config.requireEnabled();
          const withPayload = form !== "none";
          const wanted = { after: place, limit, bytesMax: REST_LOOK_BYTES_MAX, withPayload };
          return jsonResponse(200, pageOf(await registry.look(params.get("name")!, wanted), form));
        };
      },
    },
    {
      ...common,
      method: "DELETE",
      access: { roles: WRITERS, scope: "connections" },
      prepare:
        ({ params }) =>
        async () => {
          config.requireEnabled();
          return jsonResponse(200, await registry.purge(params.get("name")!));
        },
    },
  ];
}

function payloadFormOf(written: string | null): PayloadForm {
  if (written === null) return "none";
  if (written === "none" || written === "plain" || written === "base64") return written;
  throw new CodedError("BAD_REQUEST", "payload: expected none, plain or base64");
}

function positionOf(text: string): number {
  const position = Number(text);
  if (Number.isSafeInteger(position) && String(position) === text && position >= 0) return position;
  throw new CodedError("BAD_REQUEST", "Invalid cursor");
}

/** `damaged` is there only when a message could not be read. */
function pageOf({ messages, hasNext, damaged }: QueueLook, form: PayloadForm): object {
  const last = messages.at(-1);
  const next = hasNext && last !== undefined ? { cursor: cursorOf([String(last.position)]) } : {};
  return {
    data: messages.map((message) => itemOf(message, form)),
    meta: { hasnext: hasNext, ...next, ...(damaged === 0 ? {} : { damaged }) },
  };
}

function itemOf(message: WaitingMessage, form: PayloadForm): object {
  const { position, topic, qos, publishedAtMs, clientId, attempts, key, payload } = message;
  return {
    position,
    topic,
    qos,
    publish_at: new Date(publishedAtMs).toISOString(),
    from_clientid: clientId,
    attempts,
    key: key ?? null,
    properties: propertiesOf(message),
    ...(form === "none" ? {} : { payload: payload === undefined ? null : payloadTextOf(payload, form) }),
  };
}

function payloadTextOf(payload: Uint8Array, form: "plain" | "base64"): string {
  const { buffer, byteOffset, byteLength } = payload;
  return Buffer.from(buffer, byteOffset, byteLength).toString(form === "plain" ? "utf8" : "base64");
}

/** Named as `POST /publish` names them. */
function propertiesOf({ properties, messageExpiryIntervalS }: WaitingMessage): object {
  const { payloadFormatIndicator, responseTopic, correlationData, contentType, userProperties } = properties;
  return {
    ...given("payload_format_indicator", payloadFormatIndicator),
    ...given("message_expiry_interval", messageExpiryIntervalS),
    ...given("response_topic", responseTopic),
    ...(correlationData === undefined ? {} : correlationOf(correlationData)),
    ...given("user_properties", userProperties && userPropertiesOf(userProperties)),
    ...given("content_type", contentType),
  };
}

const given = (name: string, value: unknown): object => (value === undefined ? {} : { [name]: value });

/** Text as it was published by REST; what is no text has a name of its own, so that nobody takes Base64 for it. */
function correlationOf(data: Uint8Array): object {
  return isUtf8(data)
    ? { correlation_data: payloadTextOf(data, "plain") }
    : { correlation_data_base64: payloadTextOf(data, "base64") };
}

/** A name that comes more than once has an array, in the order of the message. */
function userPropertiesOf(pairs: NonNullable<PublishProperties["userProperties"]>): object {
  const values = new Map<string, string[]>();
  for (const [name, value] of pairs) {
    const known = values.get(name);
    if (known === undefined) values.set(name, [value]);
    else known.push(value);
  }
  return Object.fromEntries([...values].map(([name, all]) => [name, all.length === 1 ? all[0] : all]));
}

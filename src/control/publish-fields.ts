/**
 * The body of `POST /publish`, and the message it describes. A fault of shape is 400 BAD_REQUEST; a fault that MQTT has a
 * reason code for carries that code too.
 */
import { isUtf8 } from "node:buffer";
import { USER_PROPERTIES_MAX } from "../base/limits.ts";
import type { Parsed } from "../base/parsed.ts";
import { ReasonCode } from "../mqtt/reason-codes.ts";
import { isTopicName, publishPolicy } from "../mqtt/topics.ts";
import type { PublishCommand } from "../worker/commands.ts";
import { fieldOf, flag, integer, objectOf, oneOf, text, type ValueOf, wanted } from "./fields.ts";

type UserProperties = readonly (readonly [string, string])[];

/** What MQTT can carry as a string: no NUL, no half of a surrogate pair, at most 65,535 bytes. */
const isMqttText = (value: string): boolean => !/[\0\p{Surrogate}]/u.test(value) && Buffer.byteLength(value) <= 65_535;

const mqttText = fieldOf((written) =>
  typeof written === "string" && isMqttText(written)
    ? { value: written }
    : wanted("a string that MQTT can carry", written),
);

const responseTopic = fieldOf((written) =>
  typeof written === "string" && isTopicName(written) ? { value: written } : wanted("a topic name", written),
);

const userProperties = fieldOf((written): Parsed<UserProperties> => {
  if (typeof written !== "object" || written === null || Array.isArray(written))
    return wanted("a JSON object", written);
  const pairs: [string, string][] = [];
  for (const [key, value] of Object.entries(written)) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (typeof item !== "string") return { problem: `${key}: expected a string or an array of strings` };
      if (!isMqttText(key) || !isMqttText(item)) return { problem: `${key}: not a string that MQTT can carry` };
      pairs.push([key, item]);
    }
  }
  return pairs.length > USER_PROPERTIES_MAX ? { problem: `more than ${USER_PROPERTIES_MAX}` } : { value: pairs };
});

export const publishFields = objectOf({
  topic: text,
  payload: text,
  payload_encoding: oneOf("plain", "base64").optional(),
  encoding: oneOf("plain", "base64").optional(),
  qos: integer(0, 2).optional(),
  retain: flag.optional(),
  clientid: text.optional(),
  properties: objectOf({
    payload_format_indicator: integer(0, 1).optional(),
    message_expiry_interval: integer(0, 4_294_967_295).optional(),
    response_topic: responseTopic.optional(),
    correlation_data: mqttText.optional(),
    user_properties: userProperties.optional(),
    content_type: mqttText.optional(),
  }).optional(),
});
export type PublishFields = ValueOf<typeof publishFields>;

/** Why a message cannot be published, in MQTT's words. */
export interface PublishFault {
  readonly reasonCode: number;
  readonly message: string;
}

/** The command for a well-shaped body, or why there is none. `clientid` is read and ignored, as EMQX does. */
export function publishCommandOf(fields: PublishFields, payloadBytesMax: number): PublishCommand | PublishFault {
  const { topic, properties = {} } = fields;
  if (!isTopicName(topic) || publishPolicy(topic) === "refused") {
    return { reasonCode: ReasonCode.topicNameInvalid, message: "topic_name_invalid" };
  }
  const payload = payloadOf(fields.payload, fields.payload_encoding ?? fields.encoding ?? "plain");
  if (payload === undefined) {
    return { reasonCode: ReasonCode.implementationSpecificError, message: "payload: not valid base64" };
  }
  if (payload.length > payloadBytesMax) return { reasonCode: ReasonCode.quotaExceeded, message: "packet_too_large" };
  const { payload_format_indicator: format, user_properties: pairs } = properties;
  if (format === 1 && !isUtf8(payload)) {
    return { reasonCode: ReasonCode.payloadFormatInvalid, message: "payload_format_invalid" };
  }
  return {
    kind: "publish",
    topic,
    payload,
    qos: (fields.qos ?? 0) as 0 | 1 | 2,
    retain: fields.retain ?? false,
    properties: {
      ...(format === undefined ? {} : { payloadFormatIndicator: format as 0 | 1 }),
      ...optional("messageExpiryIntervalS", properties.message_expiry_interval),
      ...optional("responseTopic", properties.response_topic),
      ...optional("contentType", properties.content_type),
      ...optional("userProperties", pairs),
      ...(properties.correlation_data === undefined
        ? {}
        : { correlationData: Buffer.from(properties.correlation_data, "utf8") }),
    },
  };
}

export const isPublishFault = (outcome: PublishCommand | PublishFault): outcome is PublishFault =>
  "reasonCode" in outcome;

function optional<K extends string, T>(key: K, value: T | undefined): { readonly [P in K]?: T } {
  return (value === undefined ? {} : { [key]: value }) as { readonly [P in K]?: T };
}

/** Base64 in the standard alphabet, padded or not; Node's decoder alone would skip what it does not know. */
function payloadOf(written: string, encoding: "plain" | "base64"): Buffer | undefined {
  if (encoding === "plain") return Buffer.from(written, "utf8");
  const isBase64 = /^[A-Za-z0-9+/]*={0,2}$/.test(written) && written.replace(/=+$/, "").length % 4 !== 1;
  return isBase64 ? Buffer.from(written, "base64") : undefined;
}

/**
 * `POST /publish` and `POST /publish/bulk`. What MQTT says in a PUBACK is said here in a status:
 *
 * | reason code | status | body |
 * |---|---|---|
 * | 0x00 | 200 | `{"id"}` |
 * | 0x10 no matching subscribers | 202 | `{"reason_code":16,"message":"no_matching_subscribers"}` |
 * | 0x83, 0x88 and the like: the broker could not | 503 | `{"code","reason_code","message"}` |
 * | any other from 0x80 on, 0x97 for a full queue that rejects | 400 | `{"code","reason_code","message"}` |
 */
import { randomBytes } from "node:crypto";
import { CodedError } from "../base/errors.ts";
import {
  REST_BULK_BODY_BYTES_MAX,
  REST_BULK_MESSAGES_MAX,
  REST_BULK_WINDOW,
  REST_PUBLISH_ESCAPE_FACTOR,
  REST_PUBLISH_OVERHEAD_BYTES,
} from "../base/limits.ts";
import { ReasonCode } from "../mqtt/reason-codes.ts";
import type { PublishCommand, Workers } from "../worker/commands.ts";
import { jsonResponse, RETRY_LATER } from "./answers.ts";
import { parseFields } from "./fields.ts";
import type { HttpResponse } from "./http.ts";
import { isPublishFault, type PublishFault, publishCommandOf, publishFields } from "./publish-fields.ts";
import { PUBLISHERS, type Route } from "./route.ts";

export interface PublishRoutesOptions {
  readonly workers: Workers;
  readonly payloadBytesMax: number;
}

/** `message.from` of everything published by REST. */
const CLIENT_ID = "http_api";

interface Outcome {
  readonly status: number;
  readonly body: object;
}

export function publishRoutes({ workers, payloadBytesMax }: PublishRoutesOptions): readonly Route[] {
  const common = {
    method: "POST",
    access: { roles: PUBLISHERS, scope: "publish" },
    readsBody: true,
    needsReady: true,
  } as const;
  return [
    {
      ...common,
      pattern: "/publish",
      bodyBytesMax: payloadBytesMax * REST_PUBLISH_ESCAPE_FACTOR + REST_PUBLISH_OVERHEAD_BYTES,
      prepare({ body }) {
        const command = publishCommandOf(parseFields(publishFields, body), payloadBytesMax);
        return async () => {
          const outcome = isPublishFault(command) ? refusalOf(command) : await publish(command);
          return responseOf(outcome.status, outcome.body);
        };
      },
    },
    {
      ...common,
      pattern: "/publish/bulk",
      bodyBytesMax: REST_BULK_BODY_BYTES_MAX,
      prepare({ body }) {
        const commands = bulkOf(body).map((fields) => publishCommandOf(fields, payloadBytesMax));
        return async () => {
          const outcomes = commands.some(isPublishFault)
            ? commands.map((command) => refusalOf(isPublishFault(command) ? command : NOT_TRIED))
            : await publishAll(commands as readonly PublishCommand[]);
          return responseOf(
            worstOf(outcomes),
            outcomes.map(({ body: part }) => part),
          );
        };
      },
    },
  ];

  async function publish(command: PublishCommand): Promise<Outcome> {
    try {
      const { reasonCode } = await workers.call(workers.workerOf(CLIENT_ID), command);
      return outcomeOf(reasonCode);
    } catch (fault) {
      if (!(fault instanceof CodedError)) throw fault;
      const reasonCode = fault.reasonCode ?? ReasonCode.implementationSpecificError;
      const isOurs = (fault.httpStatus ?? 500) >= 500;
      return (isOurs ? unavailable : refusalOf)({ reasonCode, message: fault.message });
    }
  }

  /** In order; a window of them shares the commits. */
  async function publishAll(commands: readonly PublishCommand[]): Promise<readonly Outcome[]> {
    const outcomes: Outcome[] = [];
    for (let start = 0; start < commands.length; start += REST_BULK_WINDOW) {
      outcomes.push(...(await Promise.all(commands.slice(start, start + REST_BULK_WINDOW).map(publish))));
    }
    return outcomes;
  }
}

const NOT_TRIED: PublishFault = {
  reasonCode: ReasonCode.implementationSpecificError,
  message: "not published: another message of this request is at fault",
};

/** The broker's own trouble, worth another try; the rest is the message's. */
const UNAVAILABLE: ReadonlySet<number> = new Set([
  ReasonCode.unspecifiedError,
  ReasonCode.serverUnavailable,
  ReasonCode.serverBusy,
  ReasonCode.serverShuttingDown,
]);

function bulkOf(body: unknown) {
  if (!Array.isArray(body)) throw new CodedError("BAD_REQUEST", "The body: expected a JSON array");
  if (body.length > REST_BULK_MESSAGES_MAX) {
    throw new CodedError("BAD_REQUEST", `The body: more than ${REST_BULK_MESSAGES_MAX} messages`);
  }
  return body.map((item, index) => {
    try {
      return parseFields(publishFields, item);
    } catch (fault) {
      throw fault instanceof CodedError ? new CodedError(fault.code, `[${index}] ${fault.message}`, fault) : fault;
    }
  });
}

function outcomeOf(reasonCode: number): Outcome {
  if (reasonCode === ReasonCode.noMatchingSubscribers) {
    return { status: 202, body: { reason_code: reasonCode, message: "no_matching_subscribers" } };
  }
  if (reasonCode < ReasonCode.unspecifiedError) {
    return { status: 200, body: { id: randomBytes(16).toString("hex").toUpperCase() } };
  }
  if (reasonCode === ReasonCode.quotaExceeded) return refusalOf({ reasonCode, message: "quota_exceeded" });
  if (reasonCode === ReasonCode.topicNameInvalid) return refusalOf({ reasonCode, message: "topic_name_invalid" });
  if (reasonCode === ReasonCode.implementationSpecificError) {
    return unavailable({ reasonCode, message: "The message could not be stored" });
  }
  return refusalOf({ reasonCode, message: "The message was refused" });
}

function refusalOf({ reasonCode, message }: PublishFault): Outcome {
  if (UNAVAILABLE.has(reasonCode)) return unavailable({ reasonCode, message });
  return { status: 400, body: { code: "BAD_REQUEST", reason_code: reasonCode, message } };
}

function unavailable({ reasonCode, message }: PublishFault): Outcome {
  return { status: 503, body: { code: "SERVICE_UNAVAILABLE", reason_code: reasonCode, message } };
}

/** Of several outcomes: what could not be done, what was refused, what nobody got, all well. */
function worstOf(outcomes: readonly Outcome[]): number {
  return [503, 400, 202].find((status) => outcomes.some((outcome) => outcome.status === status)) ?? 200;
}

function responseOf(status: number, body: object): HttpResponse {
  return jsonResponse(status, body, status === 503 ? RETRY_LATER : {});
}

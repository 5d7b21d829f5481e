/** Messages in the one layout, for tests of queues and dispatch. */
import { Region } from "../../src/base/region.ts";
import { MESSAGE_HEADER_BYTES, messageBytesOf, writeMessageHeader } from "../../src/frame/message.ts";

export interface MessageFields {
  readonly topic?: string;
  readonly properties?: Uint8Array;
  readonly payload?: string | Uint8Array;
  readonly clientId?: string;
  readonly username?: string;
  readonly peer?: string;
  readonly qos?: number;
  readonly retain?: boolean;
  readonly protocolLevel?: number;
  readonly publishedAtMs?: number;
  readonly expiresAtMs?: number;
}

/** A message alone in its region, at offset 0. */
export function message(fields: MessageFields): Region {
  const parts = [
    Buffer.from(fields.topic ?? "t"),
    fields.properties ?? Buffer.alloc(0),
    Buffer.from((fields.payload ?? "") as string),
    Buffer.from(fields.clientId ?? "publisher"),
    Buffer.from(fields.username ?? ""),
    Buffer.from(fields.peer ?? ""),
  ];
  const lengths = {
    topicBytes: parts[0]!.byteLength,
    propertiesBytes: parts[1]!.byteLength,
    payloadBytes: parts[2]!.byteLength,
    clientIdBytes: parts[3]!.byteLength,
    usernameBytes: parts[4]!.byteLength,
    peerBytes: parts[5]!.byteLength,
  };
  const region = Region.allocate(messageBytesOf(lengths));
  writeMessageHeader(
    region,
    0,
    lengths,
    fields.qos ?? 1,
    fields.retain ?? false,
    fields.protocolLevel ?? 5,
    fields.publishedAtMs ?? 0,
    fields.expiresAtMs ?? 0,
  );
  let at = MESSAGE_HEADER_BYTES;
  for (const part of parts) {
    region.bytes.set(part, at);
    at += part.byteLength;
  }
  return region;
}

/** A User Property as on the wire. */
export function userProperty(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0x26]), run(name), run(value)]);
}

/** A property with a string or binary value. */
export const textProperty = (id: number, value: string): Buffer => Buffer.concat([Buffer.from([id]), run(value)]);

function run(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from([bytes.byteLength >> 8, bytes.byteLength & 0xff]), bytes]);
}

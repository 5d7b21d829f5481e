/** MQTT packets made byte by byte, also those that no library would make. Numbers are bytes, strings are MQTT strings. */
export type Part = number | string | Uint8Array;

export const u16 = (value: number): Buffer => Buffer.of(value >> 8, value & 0xff);
export const u32 = (value: number): Buffer => Buffer.concat([u16(value >>> 16), u16(value & 0xffff)]);

/** Bytes with their length before them. */
export const sized = (bytes: Uint8Array): Buffer => Buffer.concat([u16(bytes.length), bytes]);

export const bytesOf = (...parts: readonly Part[]): Buffer =>
  Buffer.concat(
    parts.map((part) => {
      if (typeof part === "number") return Buffer.of(part);
      return typeof part === "string" ? sized(Buffer.from(part)) : part;
    }),
  );

function variableByteInteger(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; bytes.length === 0 || rest > 0; rest = Math.floor(rest / 128)) {
    bytes.push((rest % 128) + (rest >= 128 ? 128 : 0));
  }
  return Buffer.from(bytes);
}

/** A property list with its length. */
export const properties = (...parts: readonly Part[]): Buffer => {
  const list = bytesOf(...parts);
  return Buffer.concat([variableByteInteger(list.length), list]);
};

/** A packet: its first byte, then the remaining length, then the parts. */
export const packet = (first: number, ...parts: readonly Part[]): Buffer => {
  const body = bytesOf(...parts);
  return Buffer.concat([Buffer.of(first), variableByteInteger(body.length), body]);
};

/** PUBLISH of MQTT 5 with QoS 1, without properties. */
export const publish = (topic: string, packetId: number, payload: Uint8Array): Buffer =>
  packet(0x32, topic, u16(packetId), properties(), payload);

export interface ConnectFields {
  readonly first?: number;
  readonly name?: string;
  /** Plus 128 for a bridge. */
  readonly level?: number;
  readonly flags?: number;
  readonly keepAliveS?: number;
  /** With the length, for level 5. */
  readonly properties?: Buffer;
  readonly clientId?: string | Buffer;
  /** What stands behind the client ID. */
  readonly rest?: readonly Part[];
}

/** CONNECT, of MQTT 5 and with a clean start unless said otherwise. */
export function connectBytes(fields: ConnectFields = {}): Buffer {
  const { first = 0x10, name = "MQTT", level = 5, flags = 2, keepAliveS = 0, clientId = "c", rest = [] } = fields;
  const list = (level & 0x7f) >= 5 ? (fields.properties ?? properties()) : Buffer.alloc(0);
  return packet(
    first,
    name,
    level,
    flags,
    u16(keepAliveS),
    list,
    clientId instanceof Buffer ? sized(clientId) : clientId,
    ...rest,
  );
}

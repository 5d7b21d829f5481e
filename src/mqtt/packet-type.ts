/**
 * The control packet types, and the first byte of those whose flags are fixed.
 *
 * ```
 *   byte 1   bits 7-4 type   bits 3-0 flags: DUP, QoS, RETAIN for PUBLISH, fixed for all others
 *   byte 2…  remaining length, a variable byte integer of 1 to 4 bytes
 * ```
 */
export const PacketType = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
  auth: 15,
} as const;
export type PacketType = (typeof PacketType)[keyof typeof PacketType];

/** The type of the packet that starts at `start`: 0 to 15; 0 is reserved. */
export const packetTypeOf = (bytes: Buffer, start: number): number => bytes[start]! >> 4;

/** The protocol levels of CONNECT: MQTT 3.1, 3.1.1 and 5.0. */
export const LEVEL_3_1 = 3;
export const LEVEL_3_1_1 = 4;
export const LEVEL_5 = 5;

const PINGREQ_FIRST_BYTE = PacketType.pingreq << 4;

/** Whether the whole packet is a well-formed PINGREQ: two bytes, no flags. */
export const isPingreq = (bytes: Buffer, start: number, end: number): boolean =>
  end - start === 2 && bytes[start] === PINGREQ_FIRST_BYTE && bytes[start + 1] === 0;

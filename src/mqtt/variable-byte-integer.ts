/**
 * The variable byte integer: 7 bits a byte, least significant first, bit 7 says that more follow; 0 to 268,435,455 in
 * 1 to 4 bytes.
 */
export const VARIABLE_BYTE_INTEGER_MAX = 268_435_455;

/** Bytes that `value` takes: 1 to 4. */
export function variableByteIntegerBytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  return value < 0x20_0000 ? 3 : 4;
}

/**
 * The value at `at`, or -1 when it does not end before `end`, has a fifth byte, or takes more bytes than it needs. So the
 * bytes it took are `variableByteIntegerBytes(value)`.
 */
export function readVariableByteInteger(bytes: Buffer, at: number, end: number): number {
  let value = 0;
  let shift = 0;
  for (let index = at; index < end && shift < 28; index += 1) {
    const byte = bytes[index]!;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return byte === 0 && shift > 0 ? -1 : value; // [MQTT-1.5.5-1]
    shift += 7;
  }
  return -1;
}

/** Writes `value` and returns the offset behind it. */
export function writeVariableByteInteger(bytes: Buffer, at: number, value: number): number {
  let index = at;
  let rest = value;
  while (rest >= 0x80) {
    bytes[index] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
    index += 1;
  }
  bytes[index] = rest;
  return index + 1;
}

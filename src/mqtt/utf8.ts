/**
 * UTF-8 as MQTT wants it: no U+0000, no surrogates, nothing overlong, nothing beyond U+10FFFF. The check runs over bytes in
 * place; nearly all strings are ASCII and leave in the first loop.
 */

/** Whether `bytes[start, end)` is such a string. */
export function isUtf8(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at]!;
    if (byte === 0) return false; // [MQTT-1.5.4-2]
    if (byte >= 0x80) return isUtf8Wide(bytes, at, end);
  }
  return true;
}

function isUtf8Wide(bytes: Buffer, start: number, end: number): boolean {
  let at = start;
  while (at < end) {
    const length = sequenceBytes(bytes, at, end);
    if (length === 0) return false;
    at += length;
  }
  return true;
}

/** Bytes of the well-formed sequence at `at`, 1 to 4; 0 when there is none. Unicode 15, table 3-7. */
export function sequenceBytes(bytes: Buffer, at: number, end: number): number {
  const lead = bytes[at]!;
  if (lead < 0x80) return lead === 0 ? 0 : 1; // [MQTT-1.5.4-2]
  if (lead < 0xc2) return 0; // A continuation, or overlong.
  if (lead < 0xe0) return isContinuation(bytes, at + 1, end) ? 2 : 0;
  if (lead < 0xf0) {
    if (!isContinuation(bytes, at + 1, end) || !isContinuation(bytes, at + 2, end)) return 0;
    const second = bytes[at + 1]!;
    if (lead === 0xe0 && second < 0xa0) return 0; // Overlong.
    return lead === 0xed && second > 0x9f ? 0 : 3; // A surrogate. [MQTT-1.5.4-1]
  }
  if (lead > 0xf4) return 0;
  if (
    !isContinuation(bytes, at + 1, end) ||
    !isContinuation(bytes, at + 2, end) ||
    !isContinuation(bytes, at + 3, end)
  ) {
    return 0;
  }
  const second = bytes[at + 1]!;
  if (lead === 0xf0 && second < 0x90) return 0; // Overlong.
  return lead === 0xf4 && second > 0x8f ? 0 : 4; // Beyond U+10FFFF.
}

const isContinuation = (bytes: Buffer, at: number, end: number): boolean => at < end && (bytes[at]! & 0xc0) === 0x80;

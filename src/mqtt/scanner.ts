/**
 * Finds packets in a stretch of received bytes. Allocates nothing, keeps no state, reads only the fixed header.
 *
 * ```
 *   start              body                    end of the packet
 *   │ type+flags │ length 1-4 bytes │ … remaining length bytes … │
 * ```
 */

/** Answers of `packetBytes` that are not a length. */
export const NEED_MORE = 0;
/** The remaining length has a fifth byte. */
export const LENGTH_MALFORMED = -1;
/** The packet is, or will be, larger than allowed: known as soon as its length is readable, before its bytes are there. */
export const PACKET_TOO_LARGE = -2;

/**
 * The bytes of the packet that starts at `start`, fixed header included, when all of it stands before `end`; else
 * NEED_MORE, LENGTH_MALFORMED or PACKET_TOO_LARGE. A length with needless zero bytes is accepted, as other brokers do:
 * MQTT 3.1.1 does not forbid it.
 */
export function packetBytes(bytes: Buffer, start: number, end: number, maximumPacketBytes: number): number {
  if (end - start < 2) return NEED_MORE;
  const first = bytes[start + 1]!;
  if (first < 0x80) return whole(2 + first, end - start, maximumPacketBytes);

  let remaining = first & 0x7f;
  for (let index = 1; index < 4; index += 1) {
    const at = start + 1 + index;
    if (at >= end) return NEED_MORE;
    const byte = bytes[at]!;
    remaining |= (byte & 0x7f) << (7 * index);
    if (byte < 0x80) return whole(2 + index + remaining, end - start, maximumPacketBytes);
  }
  return LENGTH_MALFORMED;
}

/** The bytes of the packet at `start` as its fixed header says, there or not; NEED_MORE before that is readable, or LENGTH_MALFORMED. */
export function declaredBytes(bytes: Buffer, start: number, end: number): number {
  const known = packetBytes(bytes, start, end, 0);
  return known === PACKET_TOO_LARGE ? packetBytes(bytes, start, FAR_END, FAR_END) : known;
}

/** Beyond any packet. */
const FAR_END = 0x3fff_ffff;

function whole(total: number, available: number, maximumPacketBytes: number): number {
  if (total > maximumPacketBytes) return PACKET_TOO_LARGE;
  return total <= available ? total : NEED_MORE;
}

/** The offset behind the fixed header of a whole packet at `start`; never beyond `end`. */
export function bodyOffset(bytes: Buffer, start: number, end: number): number {
  let at = start + 1;
  const last = start + 4 < end ? start + 4 : end - 1;
  while (at < last && bytes[at]! >= 0x80) at += 1;
  return at < end ? at + 1 : end;
}

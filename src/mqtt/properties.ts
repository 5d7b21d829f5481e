/**
 * The property list of an MQTT 5 packet: the table of properties, and a cursor that steps through a list in place.
 *
 * ```
 *   length (variable byte integer) │ id │ value │ id │ value │ …
 * ```
 *
 * The cursor checks what holds for every packet: lengths against what remains, types, UTF-8, flags 0 or 1, no property
 * twice, none that the packet may not have, not too many user properties. What a value means is its reader's to check.
 */
import { USER_PROPERTIES_MAX } from "../base/limits.ts";
import { ReasonCode } from "./reason-codes.ts";
import { isUtf8 } from "./utf8.ts";
import { readVariableByteInteger, variableByteIntegerBytes } from "./variable-byte-integer.ts";

export const PropertyId = {
  payloadFormatIndicator: 0x01,
  messageExpiryInterval: 0x02,
  contentType: 0x03,
  responseTopic: 0x08,
  correlationData: 0x09,
  subscriptionIdentifier: 0x0b,
  sessionExpiryInterval: 0x11,
  authenticationMethod: 0x15,
  authenticationData: 0x16,
  requestProblemInformation: 0x17,
  willDelayInterval: 0x18,
  requestResponseInformation: 0x19,
  reasonString: 0x1f,
  receiveMaximum: 0x21,
  topicAliasMaximum: 0x22,
  topicAlias: 0x23,
  userProperty: 0x26,
  maximumPacketSize: 0x27,
} as const;

// The forms of a value.
const FLAG = 1;
const U16 = 2;
const U32 = 3;
const VARIABLE = 4;
const TEXT = 5;
const BINARY = 6;
const PAIR = 7;

const FORMS: readonly (readonly [id: number, form: number])[] = [
  [PropertyId.payloadFormatIndicator, FLAG],
  [PropertyId.messageExpiryInterval, U32],
  [PropertyId.contentType, TEXT],
  [PropertyId.responseTopic, TEXT],
  [PropertyId.correlationData, BINARY],
  [PropertyId.subscriptionIdentifier, VARIABLE],
  [PropertyId.sessionExpiryInterval, U32],
  [PropertyId.authenticationMethod, TEXT],
  [PropertyId.authenticationData, BINARY],
  [PropertyId.requestProblemInformation, FLAG],
  [PropertyId.willDelayInterval, U32],
  [PropertyId.requestResponseInformation, FLAG],
  [PropertyId.reasonString, TEXT],
  [PropertyId.receiveMaximum, U16],
  [PropertyId.topicAliasMaximum, U16],
  [PropertyId.topicAlias, U16],
  [PropertyId.userProperty, PAIR],
  [PropertyId.maximumPacketSize, U32],
];

/** By id: the form of the value; 0 for ids that no packet of a client may have. */
const FORM_OF = new Uint8Array(256);
/** By id: the property's own bit in a set of properties. */
const BIT_OF = new Int32Array(256);
for (const [index, [id, form]] of FORMS.entries()) {
  FORM_OF[id] = form;
  BIT_OF[id] = 1 << index;
}

/** A set of properties, for `open`. */
export const propertySet = (...ids: readonly number[]): number => ids.reduce((set, id) => set | BIT_OF[id]!, 0);

/** Answers of `next`; a fault is the negative of its reason code. */
export const PROPERTY_FOUND = 1;
export const PROPERTIES_END = 0;

/** Steps through one list; made once and used again. Fields are those of the property that `next` found. */
export class PropertyCursor {
  id = 0;
  /** Where the property begins, at its id. */
  offset = 0;
  /** The value of numbers and flags. */
  number = 0;
  /** The bytes of strings and binary data, without their length; of a pair, its name. */
  valueOffset = 0;
  valueBytes = 0;
  /** Of a pair: its value. */
  pairOffset = 0;
  pairBytes = 0;
  /** Where the next property begins; after `open`, the first one. */
  at = 0;
  /** The end of the list. */
  end = 0;

  #bytes: Buffer = Buffer.alloc(0);
  #allowed = 0;
  #seen = 0;
  #userProperties = 0;

  /** Begins with the list whose length stands at `at`. Returns 0 or a reason code. */
  open(bytes: Buffer, at: number, packetEnd: number, allowed: number): number {
    const length = readVariableByteInteger(bytes, at, packetEnd);
    if (length < 0) return ReasonCode.malformedPacket;
    const first = at + variableByteIntegerBytes(length);
    if (length > packetEnd - first) return ReasonCode.malformedPacket;
    this.openStored(bytes, first, first + length, allowed);
    return ReasonCode.success;
  }

  /** Begins with a list whose length is known: of a stored message. */
  openStored(bytes: Buffer, first: number, end: number, allowed: number): void {
    this.#bytes = bytes;
    this.#allowed = allowed;
    this.#seen = 0;
    this.#userProperties = 0;
    this.at = first;
    this.end = end;
  }

  /** Steps to the next property: PROPERTY_FOUND, PROPERTIES_END, or the negative of a reason code. */
  next(): number {
    if (this.at >= this.end) return PROPERTIES_END;
    this.offset = this.at;
    this.id = this.#bytes[this.at]!;
    const bit = BIT_OF[this.id]!;
    if ((bit & this.#allowed) === 0) return -ReasonCode.malformedPacket;
    if (this.id === PropertyId.userProperty) {
      this.#userProperties += 1;
      if (this.#userProperties > USER_PROPERTIES_MAX) return -ReasonCode.quotaExceeded;
    } else if ((bit & this.#seen) !== 0) {
      return -ReasonCode.protocolError;
    }
    this.#seen |= bit;
    return this.#readValue(this.at + 1);
  }

  #readValue(at: number): number {
    const bytes = this.#bytes;
    const left = this.end - at;
    switch (FORM_OF[this.id]) {
      case FLAG:
        if (left < 1) return -ReasonCode.malformedPacket;
        this.number = bytes[at]!;
        this.at = at + 1;
        return this.number > 1 ? -ReasonCode.protocolError : PROPERTY_FOUND;
      case U16:
        if (left < 2) return -ReasonCode.malformedPacket;
        this.number = (bytes[at]! << 8) | bytes[at + 1]!;
        this.at = at + 2;
        return PROPERTY_FOUND;
      case U32:
        if (left < 4) return -ReasonCode.malformedPacket;
        this.number = bytes[at]! * 0x100_0000 + ((bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!);
        this.at = at + 4;
        return PROPERTY_FOUND;
      case VARIABLE:
        this.number = readVariableByteInteger(bytes, at, this.end);
        if (this.number < 0) return -ReasonCode.malformedPacket;
        this.at = at + variableByteIntegerBytes(this.number);
        return PROPERTY_FOUND;
      case BINARY:
        return this.#readRun(at) ? PROPERTY_FOUND : -ReasonCode.malformedPacket;
      case TEXT:
        return this.#readText(at) ? PROPERTY_FOUND : -ReasonCode.malformedPacket;
      default:
        return this.#readPair(at) ? PROPERTY_FOUND : -ReasonCode.malformedPacket;
    }
  }

  #readRun(at: number): boolean {
    const left = this.end - at - 2;
    if (left < 0) return false;
    const length = (this.#bytes[at]! << 8) | this.#bytes[at + 1]!;
    if (length > left) return false;
    this.valueOffset = at + 2;
    this.valueBytes = length;
    this.at = at + 2 + length;
    return true;
  }

  #readText(at: number): boolean {
    return this.#readRun(at) && isUtf8(this.#bytes, this.valueOffset, this.at); // [MQTT-1.5.4-1]
  }

  #readPair(at: number): boolean {
    if (!this.#readText(at)) return false;
    const nameOffset = this.valueOffset;
    const nameBytes = this.valueBytes;
    if (!this.#readText(this.at)) return false; // [MQTT-1.5.7-1]
    this.pairOffset = this.valueOffset;
    this.pairBytes = this.valueBytes;
    this.valueOffset = nameOffset;
    this.valueBytes = nameBytes;
    return true;
  }
}

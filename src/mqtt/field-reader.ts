/**
 * Steps through the fields of a rare packet and remembers the first thing wrong with it: every read is bounded, and after a
 * fault all further reads do nothing, so that a check reads like the packet's layout.
 */
import type { Fault, ProtocolLevel, UserProperties } from "./packets.ts";
import { PROPERTIES_END, PropertyCursor } from "./properties.ts";
import { ReasonCode } from "./reason-codes.ts";
import { isUtf8 } from "./utf8.ts";

/** What a well-formed packet has that the decoding library does not give. */
export interface Shape {
  readonly protocolLevel: ProtocolLevel;
  readonly userProperties: UserProperties;
  /** Of CONNECT with a will: the property bytes that its message keeps. */
  readonly willProperties: Buffer;
  readonly fault?: undefined;
}

export class FieldReader {
  readonly bytes: Buffer;
  readonly protocolLevel: ProtocolLevel;
  /** The offset of the next field. */
  at: number;

  readonly #end: number;
  readonly #userProperties: (readonly [string, string])[] = [];
  readonly #kept: Buffer[] = [];
  #fault = 0;
  #detail = "";

  constructor(bytes: Buffer, at: number, end: number, protocolLevel: ProtocolLevel) {
    this.bytes = bytes;
    this.at = at;
    this.#end = end;
    this.protocolLevel = protocolLevel;
  }

  get isFailed(): boolean {
    return this.#fault !== 0;
  }

  /** Bytes not read yet. */
  get left(): number {
    return this.#end - this.at;
  }

  /** What does not hold is a fault; the first one counts. */
  demand(holds: boolean, fault: number, detail: string): void {
    if (holds || this.isFailed) return;
    this.#fault = fault;
    this.#detail = detail;
  }

  u8(): number {
    if (!this.#has(1)) return 0;
    this.at += 1;
    return this.bytes[this.at - 1]!;
  }

  u16(): number {
    if (!this.#has(2)) return 0;
    this.at += 2;
    return (this.bytes[this.at - 2]! << 8) | this.bytes[this.at - 1]!;
  }

  packetId(): void {
    this.demand(this.u16() !== 0, ReasonCode.malformedPacket, "packet identifier 0"); // [MQTT-2.2.1-3]
  }

  /** Steps over a string and returns its bytes, which then end at `at`. */
  text(what: string): number {
    const length = this.binary(what);
    const isGood = isUtf8(this.bytes, this.at - length, this.at);
    this.demand(isGood, ReasonCode.malformedPacket, `the ${what} is not UTF-8`); // [MQTT-1.5.4-1]
    return length;
  }

  /** Steps over binary data and returns its bytes, which then end at `at`. */
  binary(what: string): number {
    const length = this.u16();
    this.demand(length <= this.left, ReasonCode.malformedPacket, `the ${what} is longer than the packet`);
    if (this.isFailed) return 0;
    this.at += length;
    return length;
  }

  /** Steps over a property list and shows each property to `check`. */
  properties(allowed: number, check: (property: PropertyCursor) => void): void {
    if (this.isFailed) return;
    const cursor = new PropertyCursor();
    const fault = cursor.open(this.bytes, this.at, this.#end, allowed);
    this.demand(fault === 0, fault, "bad length of the properties");
    while (!this.isFailed) {
      const found = cursor.next();
      if (found === PROPERTIES_END) break;
      this.demand(found > 0, -found, `bad property ${cursor.id}`);
      if (!this.isFailed) check(cursor);
    }
    this.at = cursor.end;
  }

  /** Keeps a user property of the packet. */
  keepUserProperty(property: PropertyCursor): void {
    const { valueOffset, valueBytes, pairOffset, pairBytes } = property;
    this.#userProperties.push([
      this.bytes.toString("utf8", valueOffset, valueOffset + valueBytes),
      this.bytes.toString("utf8", pairOffset, pairOffset + pairBytes),
    ]);
  }

  /** Keeps bytes of the will's properties. */
  keepForWill(start: number, end: number): void {
    this.#kept.push(this.bytes.subarray(start, end));
  }

  /** The verdict, after the last field: what is left over is a fault too. */
  end(): Shape | Fault {
    this.demand(this.left === 0, ReasonCode.malformedPacket, "bytes behind the last field");
    if (this.isFailed) return { fault: this.#fault, detail: this.#detail, answerLevel: this.protocolLevel };
    return {
      protocolLevel: this.protocolLevel,
      userProperties: this.#userProperties,
      willProperties: Buffer.concat(this.#kept),
    };
  }

  #has(needed: number): boolean {
    this.demand(this.left >= needed, ReasonCode.malformedPacket, "the packet ends too early");
    return !this.isFailed;
  }
}

/**
 * Goal: the table of reason codes is the specification's. Method: mqtt-packet's own lists as the oracle; the MQTT 3 forms by
 * listing what each return code stands for.
 */
import { createRequire } from "node:module";
import { expect, test } from "vitest";
import { PacketType } from "../../src/mqtt/packet-type.ts";
import {
  connackReturnCodeOf,
  isClientDisconnectCode,
  isReasonCodeOf,
  NO_RETURN_CODE,
  REASON_CODES,
  ReasonCode,
  reasonNameOf,
  subackReturnCodeOf,
} from "../../src/mqtt/reason-codes.ts";

const oracle = createRequire(import.meta.url)("mqtt-packet/constants.js") as Record<string, Record<string, string>>;

test("packets carry the codes that mqtt-packet knows for them", () => {
  const lists: readonly (readonly [string, keyof typeof PacketType])[] = [
    ["MQTT5_PUBACK_PUBREC_CODES", "puback"],
    ["MQTT5_PUBACK_PUBREC_CODES", "pubrec"],
    ["MQTT5_PUBREL_PUBCOMP_CODES", "pubrel"],
    ["MQTT5_PUBREL_PUBCOMP_CODES", "pubcomp"],
    ["MQTT5_SUBACK_CODES", "suback"],
    ["MQTT5_UNSUBACK_CODES", "unsuback"],
    ["MQTT5_DISCONNECT_CODES", "disconnect"],
    ["MQTT5_AUTH_CODES", "auth"],
  ];
  for (const [list, packet] of lists) {
    const codes = Object.keys(oracle[list]!).map(Number);
    const ours = [...Array(256).keys()].filter((code) => isReasonCodeOf(PacketType[packet], code));
    // Table 2-6 has 0x8C for DISCONNECT, which mqtt-packet follows table 3-13 in leaving out.
    const expected = packet === "disconnect" ? [...codes, ReasonCode.badAuthenticationMethod] : codes;
    expect(ours, packet).toEqual(expected.sort((a, b) => a - b));
  }
});

test("every name has its row, and 0x00 its three meanings", () => {
  expect(REASON_CODES.map((row) => row.name).sort()).toEqual(Object.keys(ReasonCode).sort());
  expect(REASON_CODES.filter((row) => row.code === 0)).toHaveLength(3);
  expect(reasonNameOf(0x97)).toBe("quotaExceeded");
  expect(reasonNameOf(0x05)).toBe("0x05");
});

test("MQTT 3 forms", () => {
  const returnCodes = new Map([0, 1, 2, 3, 4, 5, NO_RETURN_CODE].map((code) => [code, [] as string[]]));
  for (const row of REASON_CODES) {
    if (row.packets.includes("connack")) returnCodes.get(connackReturnCodeOf(row.code))!.push(row.name);
  }
  expect(returnCodes.get(0)).toEqual(["success"]);
  expect(returnCodes.get(1)).toEqual(["unsupportedProtocolVersion"]);
  expect(returnCodes.get(2)).toEqual(["clientIdentifierNotValid"]);
  expect(returnCodes.get(3)).toContain("serverBusy");
  expect(returnCodes.get(4)).toEqual(["badUserNameOrPassword"]);
  expect(returnCodes.get(5)).toEqual(["notAuthorized", "banned"]);
  expect(returnCodes.get(NO_RETURN_CODE)).toContain("malformedPacket");
  expect([0, 1, 2, 0x80, 0x8f, 0x97].map(subackReturnCodeOf)).toEqual([0, 1, 2, 0x80, 0x80, 0x80]);
});

test("clients disconnect with their own codes only", () => {
  expect([0, 4, 0x81, 0x93, 0x99].every(isClientDisconnectCode)).toBe(true);
  expect([1, 0x10, 0x84, 0x87, 0x8b, 0x8e, 0x9c].some(isClientDisconnectCode)).toBe(false);
});

/**
 * MQTT 5 reason codes: what decoders answer with, what acknowledgements carry, and their nearest form in MQTT 3.
 *
 * Source: MQTT 5.0, table 2-6. A row per code and meaning; three meanings share 0x00.
 */
import { PacketType } from "./packet-type.ts";

export const ReasonCode = {
  success: 0x00,
  normalDisconnection: 0x00,
  grantedQos0: 0x00,
  grantedQos1: 0x01,
  grantedQos2: 0x02,
  disconnectWithWillMessage: 0x04,
  noMatchingSubscribers: 0x10,
  noSubscriptionExisted: 0x11,
  continueAuthentication: 0x18,
  reAuthenticate: 0x19,
  unspecifiedError: 0x80,
  malformedPacket: 0x81,
  protocolError: 0x82,
  implementationSpecificError: 0x83,
  unsupportedProtocolVersion: 0x84,
  clientIdentifierNotValid: 0x85,
  badUserNameOrPassword: 0x86,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  serverBusy: 0x89,
  banned: 0x8a,
  serverShuttingDown: 0x8b,
  badAuthenticationMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  sessionTakenOver: 0x8e,
  topicFilterInvalid: 0x8f,
  topicNameInvalid: 0x90,
  packetIdentifierInUse: 0x91,
  packetIdentifierNotFound: 0x92,
  receiveMaximumExceeded: 0x93,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  messageRateTooHigh: 0x96,
  quotaExceeded: 0x97,
  administrativeAction: 0x98,
  payloadFormatInvalid: 0x99,
  retainNotSupported: 0x9a,
  qosNotSupported: 0x9b,
  useAnotherServer: 0x9c,
  serverMoved: 0x9d,
  sharedSubscriptionsNotSupported: 0x9e,
  connectionRateExceeded: 0x9f,
  maximumConnectTime: 0xa0,
  subscriptionIdentifiersNotSupported: 0xa1,
  wildcardSubscriptionsNotSupported: 0xa2,
} as const;
export type ReasonName = keyof typeof ReasonCode;

type PacketName = keyof typeof PacketType;

export interface ReasonRow {
  readonly code: number;
  readonly name: ReasonName;
  /** The packets that may carry it. */
  readonly packets: readonly PacketName[];
}

const row = (name: ReasonName, ...packets: readonly PacketName[]): ReasonRow => ({
  code: ReasonCode[name],
  name,
  packets,
});

export const REASON_CODES: readonly ReasonRow[] = [
  row("success", "connack", "puback", "pubrec", "pubrel", "pubcomp", "unsuback", "auth"),
  row("normalDisconnection", "disconnect"),
  row("grantedQos0", "suback"),
  row("grantedQos1", "suback"),
  row("grantedQos2", "suback"),
  row("disconnectWithWillMessage", "disconnect"),
  row("noMatchingSubscribers", "puback", "pubrec"),
  row("noSubscriptionExisted", "unsuback"),
  row("continueAuthentication", "auth"),
  row("reAuthenticate", "auth"),
  row("unspecifiedError", "connack", "puback", "pubrec", "suback", "unsuback", "disconnect"),
  row("malformedPacket", "connack", "disconnect"),
  row("protocolError", "connack", "disconnect"),
  row("implementationSpecificError", "connack", "puback", "pubrec", "suback", "unsuback", "disconnect"),
  row("unsupportedProtocolVersion", "connack"),
  row("clientIdentifierNotValid", "connack"),
  row("badUserNameOrPassword", "connack"),
  row("notAuthorized", "connack", "puback", "pubrec", "suback", "unsuback", "disconnect"),
  row("serverUnavailable", "connack"),
  row("serverBusy", "connack", "disconnect"),
  row("banned", "connack"),
  row("serverShuttingDown", "disconnect"),
  row("badAuthenticationMethod", "connack", "disconnect"),
  row("keepAliveTimeout", "disconnect"),
  row("sessionTakenOver", "disconnect"),
  row("topicFilterInvalid", "suback", "unsuback", "disconnect"),
  row("topicNameInvalid", "connack", "puback", "pubrec", "disconnect"),
  row("packetIdentifierInUse", "puback", "pubrec", "suback", "unsuback"),
  row("packetIdentifierNotFound", "pubrel", "pubcomp"),
  row("receiveMaximumExceeded", "disconnect"),
  row("topicAliasInvalid", "disconnect"),
  row("packetTooLarge", "connack", "disconnect"),
  row("messageRateTooHigh", "disconnect"),
  row("quotaExceeded", "connack", "puback", "pubrec", "suback", "disconnect"),
  row("administrativeAction", "disconnect"),
  row("payloadFormatInvalid", "connack", "puback", "pubrec", "disconnect"),
  row("retainNotSupported", "connack", "disconnect"),
  row("qosNotSupported", "connack", "disconnect"),
  row("useAnotherServer", "connack", "disconnect"),
  row("serverMoved", "connack", "disconnect"),
  row("sharedSubscriptionsNotSupported", "suback", "disconnect"),
  row("connectionRateExceeded", "connack", "disconnect"),
  row("maximumConnectTime", "disconnect"),
  row("subscriptionIdentifiersNotSupported", "suback", "disconnect"),
  row("wildcardSubscriptionsNotSupported", "suback", "disconnect"),
];

/** Per code, a bit for each packet type that may carry it. */
const PACKETS_OF_CODE = new Uint16Array(256);
for (const { code, packets } of REASON_CODES) {
  for (const packet of packets) PACKETS_OF_CODE[code]! |= 1 << PacketType[packet];
}

/** Whether a packet of this type may carry the code. */
export const isReasonCodeOf = (packetType: number, code: number): boolean =>
  ((PACKETS_OF_CODE[code]! >> packetType) & 1) !== 0;

/** The codes of DISCONNECT that the server alone may send. MQTT 5.0, table 3-13. */
const SERVER_DISCONNECT_CODES: ReadonlySet<number> = new Set([
  ReasonCode.notAuthorized,
  ReasonCode.serverBusy,
  ReasonCode.serverShuttingDown,
  ReasonCode.badAuthenticationMethod,
  ReasonCode.keepAliveTimeout,
  ReasonCode.sessionTakenOver,
  ReasonCode.topicFilterInvalid,
  ReasonCode.retainNotSupported,
  ReasonCode.qosNotSupported,
  ReasonCode.useAnotherServer,
  ReasonCode.serverMoved,
  ReasonCode.sharedSubscriptionsNotSupported,
  ReasonCode.connectionRateExceeded,
  ReasonCode.maximumConnectTime,
  ReasonCode.subscriptionIdentifiersNotSupported,
  ReasonCode.wildcardSubscriptionsNotSupported,
]);

/** Whether a client may send DISCONNECT with this code. */
export const isClientDisconnectCode = (code: number): boolean =>
  isReasonCodeOf(PacketType.disconnect, code) && !SERVER_DISCONNECT_CODES.has(code);

/** An answer of `connackReturnCodeOf`: MQTT 3 has no word for it, the connection closes without CONNACK. */
export const NO_RETURN_CODE = -1;

/** The MQTT 3 CONNACK return code nearest to a reason code: 0 to 5, or NO_RETURN_CODE. */
export function connackReturnCodeOf(reasonCode: number): number {
  switch (reasonCode) {
    case ReasonCode.success:
      return 0;
    case ReasonCode.unsupportedProtocolVersion:
      return 1;
    case ReasonCode.clientIdentifierNotValid:
      return 2;
    case ReasonCode.unspecifiedError:
    case ReasonCode.implementationSpecificError:
    case ReasonCode.serverUnavailable:
    case ReasonCode.serverBusy:
    case ReasonCode.quotaExceeded:
    case ReasonCode.useAnotherServer:
    case ReasonCode.serverMoved:
    case ReasonCode.connectionRateExceeded:
      return 3;
    case ReasonCode.badUserNameOrPassword:
      return 4;
    case ReasonCode.notAuthorized:
    case ReasonCode.banned:
      return 5;
    default:
      return NO_RETURN_CODE;
  }
}

/** The MQTT 3 SUBACK return code of a reason code: a granted QoS stays, every refusal is 0x80. */
export const subackReturnCodeOf = (reasonCode: number): number => Math.min(reasonCode, 0x80);

/** The name of a code for logs; of the meanings of 0x00 the first. */
export const reasonNameOf = (code: number): string =>
  REASON_CODES.find((entry) => entry.code === code)?.name ?? `0x${code.toString(16).padStart(2, "0")}`;

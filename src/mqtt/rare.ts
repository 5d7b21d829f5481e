/**
 * The rare packets, through the library `mqtt-packet`: this file is its one door. One packet a call, no state between calls.
 *
 * ```
 *   bytes ─ shape.ts: strict check ─ mqtt-packet: values ─ packets.ts: our own types
 *   our own types ─ mqtt-packet ─ bytes
 * ```
 *
 * PUBLISH and its acknowledgements never pass here (publish.ts, acks.ts, encoder.ts).
 */
import {
  generate,
  type IAuthPacket,
  type IConnectPacket,
  type IDisconnectPacket,
  type ISubscribePacket,
  type IUnsubscribePacket,
  type Packet,
  parser,
  writeToStream,
} from "mqtt-packet";
import { PACKET_BYTES_MAX } from "../base/limits.ts";
import type { Shape } from "./field-reader.ts";
import { LEVEL_5, PacketType, packetTypeOf } from "./packet-type.ts";
import {
  type ClientPacket,
  type ConnackPacket,
  type ConnectPacket,
  type Fault,
  type ProtocolLevel,
  type Qos,
  SESSION_NEVER_EXPIRES_S,
  type ServerPacket,
  type SubscriptionRequest,
  type UserProperties,
  type Will,
} from "./packets.ts";
import { connackReturnCodeOf, NO_RETURN_CODE, ReasonCode, subackReturnCodeOf } from "./reason-codes.ts";
import { shapeOf } from "./shape.ts";

// Its cache of all 65,536 numbers as buffers costs each thread megabytes, and saves nothing on rare packets.
writeToStream.cacheNumbers = false;

const RECEIVE_MAXIMUM_UNLESS_SAID = 65_535;

export type Decoded = { readonly packet: ClientPacket; readonly fault?: undefined } | Fault;

/**
 * Decodes the whole packet `[start, end)`: CONNECT, SUBSCRIBE, UNSUBSCRIBE, DISCONNECT or AUTH. `protocolLevel` is the
 * connection's; CONNECT says its own. Never throws; the result holds no reference to `bytes`.
 */
export function decodeRare(bytes: Buffer, start: number, end: number, protocolLevel: ProtocolLevel): Decoded {
  const shape = shapeOf(bytes, start, end, protocolLevel);
  if (shape.fault !== undefined) return shape;
  if (isEmptyAuth(bytes, start, end)) {
    return { packet: authOf({ cmd: "auth", reasonCode: ReasonCode.success }) };
  }
  const decoded = libraryDecode(bytes.subarray(start, end), shape.protocolLevel);
  const packet = decoded === undefined ? undefined : clientPacketOf(decoded, shape);
  if (packet !== undefined) return { packet };
  return { fault: ReasonCode.malformedPacket, detail: "the decoder refused it", answerLevel: shape.protocolLevel };
}

/** The library takes no AUTH without a body, which MQTT 5.0, 3.15.2.1 allows. */
const isEmptyAuth = (bytes: Buffer, start: number, end: number): boolean =>
  packetTypeOf(bytes, start) === PacketType.auth && end - start === 2;

/** `undefined` when the library refuses the bytes, throws, or finds more or less than one packet in them. */
function libraryDecode(bytes: Buffer, protocolLevel: ProtocolLevel): Packet | undefined {
  const packets: Packet[] = [];
  let isRefused = false;
  const reader = parser({ protocolVersion: protocolLevel });
  reader.on("packet", (packet) => packets.push(packet));
  reader.on("error", () => {
    isRefused = true;
  });
  try {
    reader.parse(bytes);
  } catch {
    return undefined; // Its bug is the sender's malformed packet.
  }
  return isRefused || packets.length !== 1 ? undefined : packets[0];
}

function clientPacketOf(packet: Packet, shape: Shape): ClientPacket | undefined {
  switch (packet.cmd) {
    case "connect":
      return connectOf(packet, shape);
    case "subscribe":
      return {
        kind: "subscribe",
        packetId: packet.messageId!,
        subscriptionIdentifier: packet.properties?.subscriptionIdentifier ?? 0,
        filters: requestsOf(packet),
        userProperties: shape.userProperties,
      };
    case "unsubscribe":
      return unsubscribeOf(packet, shape);
    case "disconnect":
      return disconnectOf(packet, shape);
    case "auth":
      return authOf(packet);
    default:
      return undefined;
  }
}

function connectOf(packet: IConnectPacket & { bridgeMode?: boolean }, shape: Shape): ConnectPacket {
  const { protocolLevel } = shape;
  const { properties } = packet;
  const isCleanStart = packet.clean === true;
  const expiryUnlessSaid = protocolLevel === LEVEL_5 || isCleanStart ? 0 : SESSION_NEVER_EXPIRES_S;
  return {
    kind: "connect",
    protocolLevel,
    isBridge: packet.bridgeMode === true,
    clientId: packet.clientId,
    isCleanStart,
    keepAliveS: packet.keepalive ?? 0,
    sessionExpiryIntervalS: properties?.sessionExpiryInterval ?? expiryUnlessSaid,
    receiveMaximum: properties?.receiveMaximum ?? RECEIVE_MAXIMUM_UNLESS_SAID,
    maximumPacketBytes: properties?.maximumPacketSize ?? PACKET_BYTES_MAX,
    topicAliasMaximum: properties?.topicAliasMaximum ?? 0,
    isResponseInformationRequested: properties?.requestResponseInformation ?? false,
    isProblemInformationRequested: properties?.requestProblemInformation ?? true,
    will: packet.will === undefined ? undefined : willOf(packet.will, shape),
    username: packet.username,
    password: copyOf(packet.password),
    userProperties: shape.userProperties,
    authenticationMethod: properties?.authenticationMethod,
    authenticationData: copyOf(properties?.authenticationData),
  };
}

function willOf(will: NonNullable<IConnectPacket["will"]>, shape: Shape): Will {
  return {
    topic: will.topic,
    payload: Buffer.from(will.payload as Buffer),
    qos: (will.qos ?? 0) as Qos,
    isRetain: will.retain === true,
    delayS: will.properties?.willDelayInterval ?? 0,
    messageExpiryIntervalS: will.properties?.messageExpiryInterval ?? -1,
    properties: Buffer.from(shape.willProperties), // Of its own memory: the packet goes.
  };
}

const requestsOf = (packet: ISubscribePacket): SubscriptionRequest[] =>
  packet.subscriptions.map((subscription) => ({
    filter: subscription.topic,
    qos: subscription.qos,
    isNoLocal: subscription.nl ?? false,
    isRetainAsPublished: subscription.rap ?? false,
    retainHandling: (subscription.rh ?? 0) as 0 | 1 | 2,
  }));

const unsubscribeOf = (packet: IUnsubscribePacket, shape: Shape): ClientPacket => ({
  kind: "unsubscribe",
  packetId: packet.messageId!,
  filters: packet.unsubscriptions,
  userProperties: shape.userProperties,
});

const disconnectOf = (packet: IDisconnectPacket, shape: Shape): ClientPacket => ({
  kind: "disconnect",
  reasonCode: packet.reasonCode ?? ReasonCode.normalDisconnection,
  sessionExpiryIntervalS: packet.properties?.sessionExpiryInterval,
  reasonString: packet.properties?.reasonString,
  userProperties: shape.userProperties,
});

const authOf = (packet: IAuthPacket): ClientPacket => ({
  kind: "auth",
  reasonCode: packet.reasonCode,
  authenticationMethod: packet.properties?.authenticationMethod,
  authenticationData: copyOf(packet.properties?.authenticationData),
});

/** The library's buffers are views of the bytes it was given, and those are overwritten by the next read. */
const copyOf = (bytes: Buffer | undefined): Buffer | undefined =>
  bytes === undefined ? undefined : Buffer.from(bytes);

const NOTHING = Buffer.alloc(0);

/**
 * Encodes one packet. The result is empty when the protocol has no such packet (DISCONNECT, or a refusal without a return
 * code, before MQTT 5), or when it exceeds `maximumPacketBytes` even without its explanation: nothing is sent then.
 */
export function encodeRare(
  packet: ServerPacket,
  protocolLevel: ProtocolLevel,
  maximumPacketBytes: number = PACKET_BYTES_MAX,
): Buffer {
  const full = libraryEncode(packet, protocolLevel);
  if (full.length <= maximumPacketBytes) return full;
  const bare = libraryEncode({ ...packet, reasonString: undefined, userProperties: undefined }, protocolLevel); // [MQTT-3.2.2-19]
  return bare.length <= maximumPacketBytes ? bare : NOTHING; // [MQTT-3.1.2-24]
}

function libraryEncode(packet: ServerPacket, protocolLevel: ProtocolLevel): Buffer {
  const options = { protocolVersion: protocolLevel };
  const explained = { reasonString: packet.reasonString, userProperties: recordOf(packet.userProperties) };
  const isLevel5 = protocolLevel === LEVEL_5;
  switch (packet.kind) {
    case "connack": {
      const returnCode = connackReturnCodeOf(packet.reasonCode);
      if (!isLevel5 && returnCode === NO_RETURN_CODE) return NOTHING;
      const properties = { ...connackPropertiesOf(packet), ...explained };
      const codes = isLevel5 ? { reasonCode: packet.reasonCode, properties: present(properties) } : { returnCode };
      // MQTT 3.1 has no session present flag: the byte is reserved.
      const sessionPresent = packet.isSessionPresent && protocolLevel > 3;
      return generate({ cmd: "connack", sessionPresent, ...codes }, options);
    }
    case "suback": {
      const granted = isLevel5 ? [...packet.reasonCodes] : packet.reasonCodes.map(subackReturnCodeOf);
      return generate({ cmd: "suback", messageId: packet.packetId, granted, properties: present(explained) }, options);
    }
    case "unsuback": {
      const granted = [...packet.reasonCodes];
      return generate(
        { cmd: "unsuback", messageId: packet.packetId, granted, properties: present(explained) },
        options,
      );
    }
    case "disconnect": {
      if (!isLevel5) return NOTHING;
      const properties = present({ serverReference: packet.serverReference, ...explained });
      return generate({ cmd: "disconnect", reasonCode: packet.reasonCode, properties }, options);
    }
  }
}

const connackPropertiesOf = (packet: ConnackPacket) => ({
  sessionExpiryInterval: packet.sessionExpiryIntervalS,
  receiveMaximum: packet.receiveMaximum,
  maximumQoS: packet.maximumQos,
  retainAvailable: packet.isRetainAvailable,
  maximumPacketSize: packet.maximumPacketBytes,
  assignedClientIdentifier: packet.assignedClientId,
  topicAliasMaximum: packet.topicAliasMaximum,
  wildcardSubscriptionAvailable: packet.isWildcardSubscriptionAvailable,
  subscriptionIdentifiersAvailable: packet.isSubscriptionIdentifierAvailable,
  sharedSubscriptionAvailable: packet.isSharedSubscriptionAvailable,
  serverKeepAlive: packet.serverKeepAliveS,
  responseInformation: packet.responseInformation,
  serverReference: packet.serverReference,
  authenticationMethod: packet.authenticationMethod,
});

type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** The entries that have a value. */
const present = <T extends object>(values: T): Present<T> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Present<T>;

/** The library's form: values by name. Values of one name keep their order. */
function recordOf(properties: UserProperties | undefined): Record<string, string[]> | undefined {
  if (properties === undefined || properties.length === 0) return undefined;
  const record: Record<string, string[]> = Object.create(null);
  for (const [name, value] of properties) {
    record[name] ??= [];
    record[name].push(value);
  }
  return record;
}

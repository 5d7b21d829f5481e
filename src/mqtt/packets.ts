/**
 * The rare packets in Restante's own terms: what a client sends besides PUBLISH and its acknowledgements, and what it is
 * answered with. Defaults of the protocol are filled in, so that no reader needs to know them.
 *
 * Durations in seconds, as on the wire. Buffers and strings are copies: they outlive the bytes they came from.
 */
export type ProtocolLevel = 3 | 4 | 5;
export type Qos = 0 | 1 | 2;

/** In the order of the packet, duplicates kept. */
export type UserProperties = readonly (readonly [name: string, value: string])[];

/** A Session Expiry Interval that never ends; also what MQTT 3 means by clean session 0. */
export const SESSION_NEVER_EXPIRES_S = 0xffff_ffff;

export interface Will {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: Qos;
  readonly isRetain: boolean;
  /** 0 = at once. */
  readonly delayS: number;
  /** -1 = none. */
  readonly messageExpiryIntervalS: number;
  /** The properties that the stored message keeps, as on the wire, without their length. */
  readonly properties: Buffer;
}

export interface ConnectPacket {
  readonly kind: "connect";
  readonly protocolLevel: ProtocolLevel;
  /** Marked as a bridge's: its subscriptions are No Local and Retain As Published. False for MQTT 5, which says so itself. */
  readonly isBridge: boolean;
  /** Empty when the server shall assign one. */
  readonly clientId: string;
  readonly isCleanStart: boolean;
  /** 0 = no keep alive. */
  readonly keepAliveS: number;
  /** MQTT 3: 0 with clean session, else SESSION_NEVER_EXPIRES_S. */
  readonly sessionExpiryIntervalS: number;
  readonly receiveMaximum: number;
  readonly maximumPacketBytes: number;
  readonly topicAliasMaximum: number;
  readonly isResponseInformationRequested: boolean;
  readonly isProblemInformationRequested: boolean;
  readonly will: Will | undefined;
  readonly username: string | undefined;
  readonly password: Buffer | undefined;
  readonly userProperties: UserProperties;
  readonly authenticationMethod: string | undefined;
  readonly authenticationData: Buffer | undefined;
}

export interface SubscriptionRequest {
  /** As sent; whether it is a good filter is for `parseSubscription` to say. */
  readonly filter: string;
  readonly qos: Qos;
  readonly isNoLocal: boolean;
  readonly isRetainAsPublished: boolean;
  readonly retainHandling: 0 | 1 | 2;
}

export interface SubscribePacket {
  readonly kind: "subscribe";
  readonly packetId: number;
  /** 0 = none. */
  readonly subscriptionIdentifier: number;
  readonly filters: readonly SubscriptionRequest[];
  readonly userProperties: UserProperties;
}

export interface UnsubscribePacket {
  readonly kind: "unsubscribe";
  readonly packetId: number;
  readonly filters: readonly string[];
  readonly userProperties: UserProperties;
}

export interface DisconnectPacket {
  readonly kind: "disconnect";
  readonly reasonCode: number;
  /** `undefined` = that of CONNECT stays. */
  readonly sessionExpiryIntervalS: number | undefined;
  readonly reasonString: string | undefined;
  readonly userProperties: UserProperties;
}

export interface AuthPacket {
  readonly kind: "auth";
  readonly reasonCode: number;
  readonly authenticationMethod: string | undefined;
  readonly authenticationData: Buffer | undefined;
}

/** What `decodeRare` reads. */
export type ClientPacket = ConnectPacket | SubscribePacket | UnsubscribePacket | DisconnectPacket | AuthPacket;

/** Why a packet was not read. A value, never an exception. */
export interface Fault {
  /** An MQTT 5 reason code. */
  readonly fault: number;
  /** For the log: what was wrong. Holds nothing of the packet. */
  readonly detail: string;
  /** In whose form to answer; 0 = this is no MQTT: close without an answer. */
  readonly answerLevel: ProtocolLevel | 0;
}

/** What the server says in answers besides the reason code; left out for MQTT 3, and when the packet would be too large. */
interface Explained {
  readonly reasonString?: string | undefined;
  readonly userProperties?: UserProperties | undefined;
}

/** What is left out is not announced: the protocol's default holds. */
export interface ConnackPacket extends Explained {
  readonly kind: "connack";
  readonly isSessionPresent: boolean;
  /** Of MQTT 5 for all levels; `connackReturnCodeOf` says what MQTT 3 makes of it. */
  readonly reasonCode: number;
  readonly sessionExpiryIntervalS?: number | undefined;
  readonly receiveMaximum?: number | undefined;
  readonly maximumQos?: 0 | 1 | undefined;
  readonly isRetainAvailable?: boolean | undefined;
  readonly maximumPacketBytes?: number | undefined;
  readonly assignedClientId?: string | undefined;
  readonly topicAliasMaximum?: number | undefined;
  readonly isWildcardSubscriptionAvailable?: boolean | undefined;
  readonly isSubscriptionIdentifierAvailable?: boolean | undefined;
  readonly isSharedSubscriptionAvailable?: boolean | undefined;
  readonly serverKeepAliveS?: number | undefined;
  readonly responseInformation?: string | undefined;
  readonly serverReference?: string | undefined;
  readonly authenticationMethod?: string | undefined;
}

export interface SubackPacket extends Explained {
  readonly kind: "suback";
  readonly packetId: number;
  /** One per filter, in their order. */
  readonly reasonCodes: readonly number[];
}

/** MQTT 3 has no codes here: the packet says only that it was done. */
export interface UnsubackPacket extends Explained {
  readonly kind: "unsuback";
  readonly packetId: number;
  readonly reasonCodes: readonly number[];
}

/** The server's DISCONNECT; it exists in MQTT 5 alone. */
export interface ServerDisconnectPacket extends Explained {
  readonly kind: "disconnect";
  readonly reasonCode: number;
  readonly serverReference?: string | undefined;
}

/** What `encodeRare` writes. */
export type ServerPacket = ConnackPacket | SubackPacket | UnsubackPacket | ServerDisconnectPacket;

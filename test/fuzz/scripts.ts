/**
 * What a fuzzed connection sends, made from a seed and a number alone, so that any of them can be sent again.
 *
 * ```
 *   noise       random bytes                     announced   a header that promises more than comes
 *   opening     one CONNECT, bent                properties  well-framed packets with random property blocks
 *   order       valid packets in any state       bent        valid packets: changed, cut, doubled, spliced
 * ```
 *
 * Everything is then cut into writes at random places: packets share a write, or arrive in drops. A third goes over WebSocket: each write in
 * frames, good ones for the most part.
 */
import { generate, type IConnectPacket, type Packet, type QoS } from "mqtt-packet";
import { bytesOf, packet, sized, u16, u32 } from "../harness/raw-bytes.ts";
import { randomOf } from "../random.ts";

export interface Script {
  readonly number: number;
  readonly kind: string;
  readonly carrier: "tcp" | "webSocket";
  /** One write each. */
  readonly writes: readonly Buffer[];
  /** How it leaves: by FIN, by reset, or it waits a while for the broker to close. */
  readonly end: "fin" | "reset" | "wait";
}

/** The queue that fuzzed subscriptions and publishes reach is over this filter. */
export const FUZZED_FILTER = "f/#";
export const FUZZED_QUEUE = "fuzzed";

export function scriptOf(seed: number, number: number): Script {
  const dice = new Dice(randomOf(Math.imul(seed, 0x9e3779b1) ^ Math.imul(number + 1, 0x85ebca6b)));
  const kind = dice.pick(Object.keys(MAKERS));
  const bytes = MAKERS[kind]!(dice);
  const cut = cutUp(dice, bytes);
  const isFramed = dice.isOnce(3);
  return {
    number,
    kind,
    carrier: isFramed ? "webSocket" : "tcp",
    writes: isFramed ? [upgradeOf(dice), ...cut.flatMap((write) => framesOf(dice, write))] : cut,
    end: dice.pick(["fin", "reset", "wait"] as const),
  };
}

class Dice {
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** A whole number in [0, below). */
  below(below: number): number {
    return Math.floor(this.#random() * below);
  }

  isOnce(inTimes: number): boolean {
    return this.below(inTimes) === 0;
  }

  pick<T>(of: readonly T[]): T {
    return of[this.below(of.length)]!;
  }

  bytes(bytesMax: number): Buffer {
    return Buffer.from(Array.from({ length: this.below(bytesMax + 1) }, () => this.below(256)));
  }
}

const MAKERS: Readonly<Record<string, (dice: Dice) => Buffer>> = {
  noise: (dice) => {
    const noise = dice.bytes(dice.isOnce(10) ? 3_000 : 60);
    return dice.isOnce(2) ? Buffer.concat([Buffer.of(0x10), noise]) : noise;
  },
  opening: (dice) => bend(dice, connectOf(dice)),
  announced: (dice) => {
    const opening = dice.isOnce(2) ? connectOf(dice) : Buffer.alloc(0);
    const first = dice.isOnce(2) ? 0x10 : dice.below(256);
    return Buffer.concat([
      opening,
      Buffer.of(first, 0xff, 0xff, 0xff, dice.pick([0x7f, 0x7f, 1, 0xff])),
      dice.bytes(200),
    ]);
  },
  properties: (dice) =>
    Buffer.concat([
      dice.isOnce(3) ? withProperties(dice, 1) : connectOf(dice, 5),
      ...some(dice, 4, () => withProperties(dice, 1 + dice.below(15))),
    ]),
  order: (dice) => {
    const level = dice.pick([4, 5] as const);
    const packets = some(dice, 12, () => validOf(dice, level));
    if (!dice.isOnce(6)) packets.unshift(connectOf(dice, level));
    return Buffer.concat(packets);
  },
  bent: (dice) => {
    const level = dice.pick([4, 5] as const);
    const packets = some(dice, 8, () => (dice.isOnce(2) ? bend(dice, validOf(dice, level)) : validOf(dice, level)));
    return Buffer.concat([connectOf(dice, level), ...packets]);
  },
};

const some = <T>(dice: Dice, most: number, make: () => T): T[] =>
  Array.from({ length: 1 + dice.below(most) }, () => make());

const NAMES = ["f/a", "f/b/c", "f", "g/h", "a//b", "$x/y", "é/ü", "f/__proto__"];
const FILTERS = [
  ...NAMES,
  "#",
  "f/#",
  "+/+",
  "f/+",
  "$share/s/f/#",
  `$queue/${FUZZED_QUEUE}`,
  "$q/f/#",
  "$queue/none/g/#",
];
const FAULTY_NAMES = ["", "f/#", "+", "f\u0000", "$queue/x", "$q/f/#", "$SYS/x", "$share/s/f", "a/".repeat(200)];

const topicOf = (dice: Dice): string => (dice.isOnce(12) ? dice.pick(FAULTY_NAMES) : dice.pick(NAMES));
const qosOf = (dice: Dice): QoS => dice.pick([0, 1, 2] as const);
const identifierOf = (dice: Dice): number => 1 + dice.below(6);

/** A good CONNECT of one of a few clients, whose sessions last a second or two at most. */
function connectOf(dice: Dice, level = dice.pick([3, 4, 5])): Buffer {
  const will = { topic: dice.pick(NAMES), payload: dice.bytes(300), qos: qosOf(dice), retain: dice.isOnce(4) };
  const connect: IConnectPacket = {
    cmd: "connect",
    protocolId: level === 3 ? "MQIsdp" : "MQTT",
    protocolVersion: level as 3 | 4 | 5,
    clean: dice.isOnce(2),
    keepalive: dice.pick([0, 1, 60]),
    clientId: `fuzz-${dice.below(20)}`,
    ...(dice.isOnce(3) ? { username: "u", password: dice.bytes(20) } : {}),
    ...(dice.isOnce(3) ? { will } : {}),
    ...(level === 5
      ? {
          properties: {
            sessionExpiryInterval: dice.below(3),
            ...(dice.isOnce(3) ? { receiveMaximum: 1 + dice.below(4) } : {}),
            ...(dice.isOnce(4) ? { maximumPacketSize: 20 + dice.below(200) } : {}),
            ...(dice.isOnce(4) ? { topicAliasMaximum: dice.below(5) } : {}),
          },
        }
      : {}),
  };
  return generate(connect);
}

/** A packet that is good by itself, of any type, for whichever state. */
function validOf(dice: Dice, level: 4 | 5): Buffer {
  const messageId = identifierOf(dice);
  const isLevel5 = level === 5;
  const options = isLevel5 ? { nl: dice.isOnce(3), rap: dice.isOnce(3), rh: dice.below(3) } : {};
  const qos = qosOf(dice);
  const alias = isLevel5 && dice.isOnce(4) ? { properties: { topicAlias: 1 + dice.below(34) } } : {};
  const packets: (() => Packet)[] = [
    () => ({
      cmd: "publish",
      topic: alias.properties !== undefined && dice.isOnce(2) ? "" : topicOf(dice),
      payload: dice.bytes(dice.isOnce(20) ? 5_000 : 80),
      qos,
      dup: qos > 0 && dice.isOnce(4),
      retain: dice.isOnce(6),
      ...(qos === 0 ? {} : { messageId }),
      ...alias,
    }),
    () => ({
      cmd: "subscribe",
      messageId,
      subscriptions: some(dice, 3, () => ({ topic: dice.pick(FILTERS), qos: qosOf(dice), ...options })) as never,
      ...(isLevel5 && dice.isOnce(4) ? { properties: { subscriptionIdentifier: 1 + dice.below(9) } } : {}),
    }),
    () => ({ cmd: "unsubscribe", messageId, unsubscriptions: some(dice, 3, () => dice.pick(FILTERS)) }),
    () => ({ cmd: "puback", messageId, ...(isLevel5 ? { reasonCode: dice.pick([0, 0x10, 0x80, 0x99]) } : {}) }),
    () => ({ cmd: "pubrec", messageId, ...(isLevel5 ? { reasonCode: dice.pick([0, 0x10, 0x80]) } : {}) }),
    () => ({ cmd: "pubrel", messageId, ...(isLevel5 ? { reasonCode: dice.pick([0, 0x92]) } : {}) }),
    () => ({ cmd: "pubcomp", messageId, ...(isLevel5 ? { reasonCode: dice.pick([0, 0x92]) } : {}) }),
    () => ({ cmd: "pingreq" }),
    () => ({ cmd: "pingresp" }),
    () => ({ cmd: "disconnect", ...(isLevel5 ? { reasonCode: dice.pick([0, 4, 0x81]) } : {}) }),
    () => ({ cmd: "connack", sessionPresent: false, ...(isLevel5 ? { reasonCode: 0 } : { returnCode: 0 }) }),
    () => ({ cmd: "suback", messageId, granted: [0] }),
    () => ({ cmd: "unsuback", messageId, granted: [0] }),
  ];
  try {
    const common = dice.isOnce(8) ? packets[dice.below(packets.length)]! : packets[dice.below(7)]!;
    return dice.isOnce(20) ? connectOf(dice, level) : generate(common(), { protocolVersion: level });
  } catch {
    return Buffer.of(0xc0, 0); // What the library will not write.
  }
}

/** Bytes changed, cut out, put in, doubled; then cut short now and then. The length is mended in half of the cases. */
function bend(dice: Dice, good: Buffer): Buffer {
  let bytes = good;
  for (let times = 1 + dice.below(4); times > 0; times -= 1) {
    const at = dice.below(bytes.length + 1);
    const end = Math.min(bytes.length, at + 1 + dice.below(4));
    const middle = dice.pick([
      () => Buffer.of(dice.pick([0, 1, 0x7f, 0x80, 0xff, dice.below(256)])),
      () => Buffer.alloc(0),
      () => Buffer.concat([bytes.subarray(at, end), bytes.subarray(at, end)]),
      () => dice.bytes(6),
    ])();
    bytes = Buffer.concat([bytes.subarray(0, at), middle, bytes.subarray(end)]);
  }
  if (dice.isOnce(5)) bytes = bytes.subarray(0, dice.below(bytes.length + 1));
  if (dice.isOnce(2) || bytes.length < 2 || bytes.length > 120) return bytes;
  return packet(bytes[0]!, bytes.subarray(2));
}

/** Every identifier of MQTT 5 with the width of its value, and some that are none. */
const PROPERTY_BYTES: readonly (readonly [id: number, value: (dice: Dice) => Buffer])[] = [
  ...[0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2a].map(
    (id) => [id, (dice: Dice) => Buffer.of(dice.below(3))] as const,
  ),
  ...[0x13, 0x21, 0x22, 0x23].map((id) => [id, (dice: Dice) => u16(dice.pick([0, 1, 33, 0xffff]))] as const),
  ...[0x02, 0x18, 0x27].map((id) => [id, (dice: Dice) => u32(dice.pick([0, 1, 2]))] as const),
  [0x11, (dice) => u32(dice.below(3))], // Session Expiry Interval: seconds, or the sessions would stay.
  [0x0b, (dice) => dice.pick([Buffer.of(0), Buffer.of(5), Buffer.of(0xff, 0xff, 0xff, 0x7f), Buffer.of(0x80, 0x80)])],
  ...[0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1a, 0x1c, 0x1f].map(
    (id) => [id, (dice: Dice) => sized(dice.isOnce(2) ? Buffer.from(topicOf(dice)) : dice.bytes(20))] as const,
  ),
  [0x26, (dice) => Buffer.concat([sized(dice.bytes(9)), sized(Buffer.from(dice.pick(["__proto__", "k", ""])))])],
  [0x00, () => Buffer.alloc(0)],
  [0x7e, (dice) => dice.bytes(4)],
];

/** A packet of that type, framed well, with a random block of properties where its own would stand. */
function withProperties(dice: Dice, type: number): Buffer {
  const list = Buffer.concat(
    some(dice, dice.isOnce(10) ? 300 : 5, () => {
      const [id, value] = dice.pick(PROPERTY_BYTES);
      return Buffer.concat([Buffer.of(id), value(dice)]);
    }),
  );
  const declared = dice.isOnce(6) ? Math.max(0, list.length + dice.below(9) - 4) : list.length;
  const block = bytesOf(declared < 128 ? declared : Buffer.of((declared % 128) | 0x80, declared >> 7), list);
  const identifier = u16(identifierOf(dice));
  switch (type) {
    case 1:
      return packet(
        0x10,
        "MQTT",
        5,
        dice.pick([2, 0, 6, 0xc6]),
        u16(60),
        block,
        `fuzz-${dice.below(20)}`,
        block,
        "f/a",
        "w",
      );
    case 3:
      return packet(0x32, topicOf(dice), identifier, block, dice.bytes(20));
    case 8:
      return packet(0x82, identifier, block, dice.pick(FILTERS), dice.below(4));
    case 10:
      return packet(0xa2, identifier, block, dice.pick(FILTERS));
    case 14:
    case 15:
      return packet(type << 4, dice.pick([0, 4, 0x18, 0x81]), block);
    default:
      return packet((type << 4) | (type === 6 ? 2 : 0), identifier, dice.pick([0, 0x10, 0x92]), block);
  }
}

function cutUp(dice: Dice, bytes: Buffer): Buffer[] {
  if (dice.isOnce(2)) return [bytes];
  const largest = dice.pick([1, 3, 20, 500]);
  const writes: Buffer[] = [];
  let at = 0;
  while (at < bytes.length && writes.length < 40) {
    const end = at + 1 + dice.below(largest);
    writes.push(bytes.subarray(at, end));
    at = end;
  }
  if (at < bytes.length) writes.push(bytes.subarray(at));
  return writes;
}

const UPGRADE = Buffer.from(
  "GET /mqtt HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
);
const upgradeOf = (dice: Dice): Buffer => (dice.isOnce(12) ? bend(dice, UPGRADE) : UPGRADE);

const CONTINUATION = 0;
const BINARY = 2;
const FINAL_BIT = 0x80;
const MASK_BIT = 0x80;

/** The bytes in one frame, or in fragments with a ping between them; now and then a frame that no client may send. */
function framesOf(dice: Dice, bytes: Buffer): Buffer[] {
  if (dice.isOnce(15)) {
    return [frameOf(dice, dice.below(256), bytes, dice.isOnce(2)), frameOf(dice, FINAL_BIT | BINARY, bytes, true)];
  }
  if (!dice.isOnce(4)) return [frameOf(dice, FINAL_BIT | BINARY, bytes, true)];
  const at = dice.below(bytes.length + 1);
  return [
    frameOf(dice, BINARY, bytes.subarray(0, at), true),
    ...(dice.isOnce(3) ? [frameOf(dice, FINAL_BIT | 9, dice.bytes(130), true)] : []),
    frameOf(dice, FINAL_BIT | CONTINUATION, bytes.subarray(at), true),
  ];
}

function frameOf(dice: Dice, first: number, payload: Buffer, isMasked: boolean): Buffer {
  const length = dice.isOnce(40) ? dice.pick([0, 5, 70_000, 0x7fff_ffff]) : payload.length;
  const maskBit = isMasked ? MASK_BIT : 0;
  const head =
    length < 126
      ? Buffer.of(first, maskBit | length)
      : length < 0x1_0000
        ? Buffer.concat([Buffer.of(first, maskBit | 126), u16(length)])
        : Buffer.concat([Buffer.of(first, maskBit | 127), u32(0), u32(length)]);
  if (!isMasked) return Buffer.concat([head, payload]);
  const mask = Buffer.from([dice.below(256), dice.below(256), dice.below(256), dice.below(256)]);
  return Buffer.concat([head, mask, payload.map((byte, at) => byte ^ mask[at % 4]!)]);
}

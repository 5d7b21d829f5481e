/**
 * The codec alone, one thread, no sockets: packets scanned from and written into one 64 KiB buffer, beside mqtt-packet doing the same
 * work on the same bytes in the same run. A row is the median nanoseconds of one packet.
 *
 * Every task answers with a number that its bytes imply, and a wrong one ends the run.
 */
import { generate, type IPubackPacket, type IPublishPacket, parser } from "mqtt-packet";
import { Bench } from "tinybench";
import { assert } from "../src/base/assert.ts";
import { Region } from "../src/base/region.ts";
import {
  messageBytesOf,
  payloadOffset,
  propertiesOffset,
  topicOffset,
  writeMessageHeader,
} from "../src/frame/message.ts";
import { AckView, writePuback } from "../src/mqtt/acks.ts";
import { publishBytesOf, writePublish } from "../src/mqtt/encoder.ts";
import { PublishView } from "../src/mqtt/publish.ts";
import { packetBytes } from "../src/mqtt/scanner.ts";

export interface CodecRow {
  readonly name: string;
  readonly nsPerOp: number;
}

const BUFFER_BYTES = 64 * 1024;
const PAYLOAD_BYTES = 256;
const MAXIMUM_PACKET_BYTES = 1024 * 1024;
const TOPIC = "devices/device-0042/events";

/** A task works through `packets` packets and answers a number that tells whether it did. */
interface Work {
  readonly name: string;
  readonly packets: number;
  readonly expected: number;
  readonly run: () => number;
}

/** Runs all comparisons; `small` only proves that they run. @throws when a task's answer is wrong. */
export async function codecBench(size: "small" | "real"): Promise<readonly CodecRow[]> {
  const time = size === "small" ? 10 : 500;
  const bench = new Bench({ time, warmupTime: time / 2, iterations: 8, warmupIterations: 4, throws: true });
  const works = [
    ...publishWorks(4, undefined),
    ...publishWorks(5, { userProperties: { key: "set-color" } }),
    ...ackWorks(),
  ];
  for (const work of works) {
    bench.add(work.name, () => {
      assert(work.run() === work.expected, `${work.name} does its work`);
    });
  }
  await bench.run();
  return works.map((work) => {
    const result = bench.getTask(work.name)?.result;
    assert(result !== undefined && "latency" in result, `${work.name} has a result`);
    return { name: work.name, nsPerOp: (result.latency.p50 * 1e6) / work.packets };
  });
}

function publishWorks(protocolLevel: 4 | 5, properties: IPublishPacket["properties"]): Work[] {
  const packet: IPublishPacket = {
    cmd: "publish",
    topic: TOPIC,
    payload: Buffer.alloc(PAYLOAD_BYTES, 0x78),
    qos: 1,
    messageId: 1,
    dup: false,
    retain: false,
    ...(properties === undefined ? {} : { properties }),
  };
  const single = generate(packet, { protocolVersion: protocolLevel });
  const packets = Math.floor(BUFFER_BYTES / single.length);
  const received = Region.over(Buffer.concat(Array.from({ length: packets }, () => single)));
  const name = `PUBLISH v${protocolLevel}, QoS 1, ${PAYLOAD_BYTES} B`;
  const payloads = packets * PAYLOAD_BYTES;
  return [
    { name: `${name}: scan`, packets, expected: payloads, run: () => scanPublishes(received, protocolLevel) },
    {
      name: `${name}: mqtt-packet parses`,
      packets,
      expected: payloads,
      run: () => {
        let sum = 0;
        const reader = parser({ protocolVersion: protocolLevel });
        reader.on("packet", (read) => {
          sum += read.cmd === "publish" ? read.payload.length : 0;
        });
        reader.parse(received.bytes);
        return sum;
      },
    },
    {
      name: `${name}: encode`,
      packets,
      expected: received.bytes.length,
      run: publishEncoder(single, packets, protocolLevel),
    },
    {
      name: `${name}: mqtt-packet generates`,
      packets,
      expected: received.bytes.length,
      run: () => {
        let sum = 0;
        for (let index = 0; index < packets; index += 1)
          sum += generate(packet, { protocolVersion: protocolLevel }).length;
        return sum;
      },
    },
  ];
}

const publishView = new PublishView();

function scanPublishes(received: Region, protocolLevel: number): number {
  const { bytes } = received;
  const end = bytes.length;
  let sum = 0;
  let at = 0;
  while (at < end) {
    const length = packetBytes(bytes, at, end, MAXIMUM_PACKET_BYTES);
    if (length <= 0 || publishView.parse(received, at, at + length, protocolLevel) !== 0) return -1;
    sum += publishView.payloadBytes;
    at += length;
  }
  return sum;
}

/** Encodes the message of a packet, stored in the same memory as the output, over and over; the bytes must be the packet's. */
function publishEncoder(single: Buffer, packets: number, protocolLevel: number): () => number {
  const arena = Region.allocate(2 * BUFFER_BYTES);
  const source = Region.over(single);
  assert(publishView.parse(source, 0, single.length, protocolLevel) === 0, "the packet to encode is well formed");
  const { topicBytes, passThroughBytes: propertiesBytes, payloadBytes } = publishView;
  const parts = { topicBytes, propertiesBytes, payloadBytes, clientIdBytes: 0, usernameBytes: 0, peerBytes: 0 };
  const stored = BUFFER_BYTES;
  assert(stored + messageBytesOf(parts) <= arena.bytes.length, "the message fits");
  writeMessageHeader(arena, stored, parts, 1, false, protocolLevel, 0, 0);
  single.copy(arena.bytes, topicOffset(stored), publishView.topicOffset, publishView.topicOffset + topicBytes);
  publishView.copyPassThrough(arena, propertiesOffset(arena, stored));
  single.copy(arena.bytes, payloadOffset(arena, stored), publishView.payloadOffset);

  const encode = (): number => {
    let at = 0;
    for (let index = 0; index < packets; index += 1) {
      const room = publishBytesOf(arena, stored, protocolLevel, 1, -1, undefined);
      if (at + room > BUFFER_BYTES) return -1;
      at += writePublish(arena, at, arena, stored, protocolLevel, 1, false, false, 1, -1, undefined);
    }
    return at;
  };
  encode();
  assert(arena.bytes.subarray(0, single.length).equals(single), "what is encoded is what mqtt-packet generates");
  return encode;
}

function ackWorks(): Work[] {
  const packet: IPubackPacket = { cmd: "puback", messageId: 7 };
  const single = generate(packet, { protocolVersion: 4 });
  const packets = 10_000;
  const received = Region.over(Buffer.concat(Array.from({ length: packets }, () => single)));
  const written = Region.allocate(packets * single.length);
  return [
    { name: "PUBACK: scan", packets, expected: 7 * packets, run: () => scanAcks(received) },
    {
      name: "PUBACK: mqtt-packet parses",
      packets,
      expected: 7 * packets,
      run: () => {
        let sum = 0;
        const reader = parser({ protocolVersion: 4 });
        reader.on("packet", (read) => {
          sum += read.messageId ?? 0;
        });
        reader.parse(received.bytes);
        return sum;
      },
    },
    {
      name: "PUBACK: encode",
      packets,
      expected: 7,
      run: () => {
        let at = 0;
        for (let index = 0; index < packets; index += 1) at += writePuback(written, at, 7, 4, 0);
        return at === written.bytes.length ? written.bytes[at - 1]! : -1;
      },
    },
    {
      name: "PUBACK: mqtt-packet generates",
      packets,
      expected: received.bytes.length,
      run: () => {
        let sum = 0;
        for (let index = 0; index < packets; index += 1) sum += generate(packet, { protocolVersion: 4 }).length;
        return sum;
      },
    },
  ];
}

const ackView = new AckView();

function scanAcks(received: Region): number {
  const { bytes } = received;
  const end = bytes.length;
  let sum = 0;
  let at = 0;
  while (at < end) {
    const length = packetBytes(bytes, at, end, MAXIMUM_PACKET_BYTES);
    if (length <= 0 || ackView.parse(received, at, at + length, 4) !== 0) return -1;
    sum += ackView.packetId;
    at += length;
  }
  return sum;
}

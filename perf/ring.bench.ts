/**
 * Rings, by topology: one thread that writes and reads (what a record costs in CPU), at several sizes of ring and record, and
 * publishing once per turn against once per record. Checks that every record came, in order. Times are of the processor, which other programs disturb least.
 */
import { createRing } from "../src/ring/layout.ts";
import { RingReader } from "../src/ring/reader.ts";
import { RING_FULL, RingWriter } from "../src/ring/writer.ts";

export interface BenchRow {
  readonly name: string;
  readonly nsPerOp: number;
}

const KIBIBYTE = 1024;

/** `size` "small" proves that it runs; "real" takes some seconds. */
export function ringBench(size: "small" | "real"): BenchRow[] {
  const records = size === "small" ? 20_000 : 4_000_000;
  const rows: BenchRow[] = [];
  for (const ringBytes of [64 * KIBIBYTE, 1024 * KIBIBYTE, 8192 * KIBIBYTE]) {
    for (const perTurn of [1, 100]) {
      rows.push(oneThread(ringBytes, 256, perTurn, records, false));
    }
  }
  rows.push(oneThread(1024 * KIBIBYTE, 256, 100, records, true));
  rows.push(oneThread(1024 * KIBIBYTE, 16, 100, records, false));
  return rows;
}

function oneThread(ringBytes: number, bodyBytes: number, perTurn: number, records: number, copies: boolean): BenchRow {
  const memory = createRing(ringBytes);
  const writer = new RingWriter(memory);
  const reader = new RingReader(memory);
  const message = Buffer.alloc(bodyBytes, 1);
  let expected = 0;
  let misplaced = 0;
  const onFrame = (_kind: number, region: { view: DataView }, offset: number): boolean => {
    if (region.view.getUint32(offset, true) !== expected) misplaced += 1;
    expected += 1;
    return true;
  };
  const before = process.cpuUsage();
  let sent = 0;
  while (sent < records) {
    for (let index = 0; index < perTurn; index += 1) {
      const offset = writer.tryClaim(1, bodyBytes);
      if (offset === RING_FULL) break;
      if (copies) message.copy(writer.region.bytes, offset, 0, bodyBytes);
      writer.region.view.setUint32(offset, sent, true);
      writer.commit();
      sent += 1;
    }
    writer.publish();
    reader.drain(perTurn, onFrame);
  }
  const { user, system } = process.cpuUsage(before);
  if (expected !== sent || misplaced > 0)
    throw new Error(`ring: ${sent} sent, ${expected} came, ${misplaced} misplaced`);
  const name = `${ringBytes / KIBIBYTE} KiB, ${bodyBytes} B${copies ? " copied" : ""}, ${perTurn} a turn, one thread`;
  return { name, nsPerOp: ((user + system) * 1e3) / sent };
}

/**
 * Packets on their way into TLS, divided so that the last of what there is stands in records of its own.
 *
 * ```
 *   packets   │ a │ b │ c │ d │          (as the tunnel reads them)
 *   records   │ a   b   c │ d │
 * ```
 *
 * A client that reads one packet each time its socket is readable does not see what stands behind it in the same record: its TLS has taken
 * that out of the socket by then. It comes again while anything is left there, and behind the last record nothing is left over
 * ([0132](../../docs/decisions/0132-the-last-packet-has-a-record-of-its-own.md)).
 */
import { type Duplex, Writable } from "node:stream";
import { assert } from "../base/assert.ts";
import { NEED_MORE } from "../mqtt/scanner.ts";

/** The bytes of the packet, or frame, that starts at `start`, there or not; NEED_MORE before that is readable. */
export type Measure = (bytes: Buffer, start: number, end: number) => number;

/** Takes packets for a stream of TLS; its end is the stream's. */
export function recordsInto(stream: Duplex, measure: Measure): Writable {
  const units = new LastUnit(measure);
  const records = new Writable({
    write: (bytes: Buffer, _encoding, done) => {
      const last = units.startIn(bytes);
      if (last > 0) stream.write(bytes.subarray(0, last));
      stream.write(bytes.subarray(last), done); // TLS puts together what waits, and this waits alone.
    },
    final: (done) => {
      stream.end();
      done();
    },
  });
  records.on("error", () => {}); // The stream is closed, which its owner hears from itself.
  return records;
}

/** Follows a stream of packets, or frames, that comes in pieces, cut anywhere. */
export class LastUnit {
  readonly #measure: Measure;
  /** Of the one that the last piece ended in: bytes to come. */
  #left = 0;
  /** The beginning of one whose length cannot be read yet. */
  #header: Buffer = NOTHING;

  constructor(measure: Measure) {
    this.#measure = measure;
  }

  /** Where in this piece the last begins; 0 when none begins in it, or only the first. */
  startIn(bytes: Buffer): number {
    let at = this.#left;
    if (this.#header.length > 0) {
      const header = Buffer.concat([this.#header, bytes.subarray(0, HEADER_BYTES_MAX)]);
      const total = this.#measure(header, 0, header.length);
      if (total === NEED_MORE) {
        this.#header = header;
        return 0;
      }
      at = total - this.#header.length;
      this.#header = NOTHING;
    }
    let last = 0;
    while (at < bytes.length) {
      last = at;
      const total = this.#measure(bytes, at, bytes.length);
      if (total === NEED_MORE) {
        this.#header = Buffer.from(bytes.subarray(at));
        this.#left = 0;
        return last;
      }
      assert(total > 0, "what a session writes is packets");
      at += total;
    }
    this.#left = at - bytes.length;
    return last;
  }
}

const NOTHING = Buffer.alloc(0);
/** Of a frame; that of a packet has half as many. */
const HEADER_BYTES_MAX = 10;

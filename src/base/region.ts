/**
 * A region: a stretch of memory with the two views the hot path needs, made once.
 *
 * Hot code passes `(region, offset)` and never makes a view of its own: a typed-array view per message costs more than
 * parsing the message.
 */
export class Region {
  readonly bytes: Buffer;
  readonly view: DataView<ArrayBufferLike>;

  constructor(memory: ArrayBufferLike, byteOffset = 0, byteLength = memory.byteLength - byteOffset) {
    this.bytes = Buffer.from(memory as ArrayBuffer, byteOffset, byteLength);
    this.view = new DataView(memory, byteOffset, byteLength);
  }

  /** A region of its own memory, not from Node's shared pool: safe to give to native code and to keep. */
  static allocate(byteLength: number): Region {
    return new Region(new ArrayBuffer(byteLength));
  }

  /** Views the memory of `buffer`; the region lives as long as the caller leaves these bytes alone. */
  static over(buffer: Uint8Array): Region {
    return new Region(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  }
}

/** Copies bytes between regions or within one (overlap allowed within one) without making a view for short runs. */
export function copyBytes(
  target: Region,
  targetOffset: number,
  source: Region,
  sourceOffset: number,
  byteLength: number,
): void {
  if (target === source) {
    target.bytes.copyWithin(targetOffset, sourceOffset, sourceOffset + byteLength);
    return;
  }
  if (byteLength > 48) {
    source.bytes.copy(target.bytes, targetOffset, sourceOffset, sourceOffset + byteLength);
    return;
  }
  const to = target.bytes;
  const from = source.bytes;
  for (let index = 0; index < byteLength; index += 1) to[targetOffset + index] = from[sourceOffset + index]!;
}

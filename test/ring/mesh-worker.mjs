/**
 * A worker of mesh.test.ts: sends jobs to every other worker, answers each job with a settlement, sleeps when there is
 * nothing to do, and reports when all its jobs are settled and all jobs for it have come.
 *
 * A job: `sequence u32 · bodyBytes u32 · pattern`. A settlement: `sequence u32`.
 */
import { parentPort, workerData } from "node:worker_threads";

const { folder, mesh, me, doorbells, jobs, window, sizes, dawdle, seed, drainLimit } = workerData;
const { RingWriter, RING_FULL } = await import(`${folder}/ring/writer.js`);
const { RingReader } = await import(`${folder}/ring/reader.js`);
const { ChunkedWrite, ChunkAssembly } = await import(`${folder}/ring/chunks.js`);
const { ringOf } = await import(`${folder}/ring/mesh.js`);
const { Doorbell, DoorbellListener } = await import(`${folder}/ring/doorbell.js`);
const { Region } = await import(`${folder}/base/region.js`);

const JOB = 1;
const SETTLEMENT = 2;
const CHUNK = 13;
const BODY_BYTES_MAX = 2 * 1024 * 1024;

let state = (seed + me * 7919) | 0;
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
}

const counts = { sleeps: 0, bells: 0, full: 0, chunked: 0, jobsReceived: 0, bytesReceived: 0 };
let isAsleep = false;
let isScheduled = false;

const patternByte = (from, sequence, index) => (from * 7 + sequence * 31 + index) & 0xff;

function fill(region, offset, bodyBytes, sequence) {
  region.view.setUint32(offset, sequence, true);
  region.view.setUint32(offset + 4, bodyBytes, true);
  for (let index = 8; index < bodyBytes; index += 1) region.bytes[offset + index] = patternByte(me, sequence, index);
}

function check(peer, region, offset, bodyBytes) {
  const sequence = region.view.getUint32(offset, true);
  if (sequence !== peer.nextIn) throw new Error(`job ${sequence} came for ${peer.nextIn}`);
  if (region.view.getUint32(offset + 4, true) !== bodyBytes) throw new Error("a job has another length");
  const step = bodyBytes > 4_096 ? 61 : 1;
  for (let index = 8; index < bodyBytes; index += step) {
    if (region.bytes[offset + index] !== patternByte(peer.id, sequence, index))
      throw new Error("a job has other bytes");
  }
}

class Peer {
  constructor(id) {
    this.id = id;
    this.writer = new RingWriter(ringOf(mesh, me, id));
    this.reader = new RingReader(ringOf(mesh, id, me));
    this.chunked = new ChunkedWrite(this.writer, CHUNK);
    this.assembly = new ChunkAssembly(BODY_BYTES_MAX);
    this.bell = new Doorbell(doorbells[id]);
    this.source = Region.allocate(BODY_BYTES_MAX);
    this.nextIn = 0;
    this.nextOut = 0;
    this.settled = 0;
    this.owedFrom = 0;
    this.nextBytes = this.chooseBytes();
    this.onJob = (_kind, region, offset, bodyBytes) => {
      check(this, region, offset, bodyBytes);
      this.nextIn += 1;
      counts.jobsReceived += 1;
      counts.bytesReceived += bodyBytes;
      return true;
    };
    this.onFrame = (kind, region, offset, bodyBytes) => {
      if (kind === CHUNK) return this.assembly.accept(region, offset, bodyBytes, this.onJob);
      if (kind === JOB) return this.onJob(kind, region, offset, bodyBytes);
      if (kind !== SETTLEMENT) throw new Error(`kind ${kind}`);
      if (region.view.getUint32(offset, true) !== this.settled) throw new Error("a settlement is out of order");
      this.settled += 1;
      return true;
    };
  }

  chooseBytes() {
    const [from, to] = sizes[Math.floor(random() * sizes.length)];
    return Math.max(8, Math.floor(from + random() * (to - from)));
  }

  get isDone() {
    return this.nextIn === jobs && this.owedFrom === jobs && this.settled === jobs;
  }

  /** Pays what it can of the settlements it owes; false when the ring is full even for those. */
  pay() {
    while (this.owedFrom < this.nextIn) {
      const offset = this.writer.tryClaimReserved(SETTLEMENT, 4);
      if (offset === RING_FULL) return false;
      this.writer.region.view.setUint32(offset, this.owedFrom, true);
      this.writer.commit();
      this.owedFrom += 1;
    }
    return true;
  }

  /** Sends what the window and the ring allow; false when the ring is full. */
  send() {
    if (this.chunked.isActive && !this.chunked.tryContinue()) return false;
    while (this.nextOut < jobs && this.nextOut - this.settled < window) {
      if (this.nextBytes > this.writer.maxBodyBytes) {
        fill(this.source, 0, this.nextBytes, this.nextOut);
        this.chunked.tryBegin(JOB, this.source, 0, this.nextBytes);
        counts.chunked += 1;
        this.nextOut += 1;
        this.nextBytes = this.chooseBytes();
        if (!this.chunked.tryContinue()) return false;
        continue;
      }
      const offset = this.writer.tryClaim(JOB, this.nextBytes);
      if (offset === RING_FULL) return false;
      fill(this.writer.region, offset, this.nextBytes, this.nextOut);
      this.writer.commit();
      this.nextOut += 1;
      this.nextBytes = this.chooseBytes();
    }
    return true;
  }
}

function onBell() {
  counts.bells += 1;
  if (isAsleep) {
    isAsleep = false;
    for (const peer of peers) {
      peer.reader.wake();
      peer.writer.stopAwaitingSpace();
    }
  }
  schedule();
}

function schedule() {
  if (isScheduled) return;
  isScheduled = true;
  setImmediate(turn);
}

function turn() {
  isScheduled = false;
  if (isAsleep) return;
  let again = false;
  for (const peer of peers) {
    peer.reader.drain(drainLimit, peer.onFrame);
    if (peer.reader.takeSpaceBell()) peer.bell.ring();
  }
  for (const peer of peers) {
    const isFree = peer.pay() && peer.send();
    if (peer.writer.publish()) peer.bell.ring();
    if (isFree) continue;
    counts.full += 1;
    const wanted = peer.chunked.isActive
      ? peer.chunked.nextBodyBytes
      : Math.min(peer.nextBytes, peer.writer.maxBodyBytes);
    if (!peer.writer.awaitSpace(wanted)) again = true;
  }
  if (dawdle > 0) {
    const until = performance.now() + random() * dawdle;
    while (performance.now() < until);
  }
  if (peers.every((peer) => peer.isDone)) {
    parentPort.postMessage({ me, ...counts });
    listener.close();
    return;
  }
  for (const peer of peers) if (!peer.reader.armSleep()) again = true;
  if (again) {
    for (const peer of peers) peer.reader.wake();
    schedule();
    return;
  }
  isAsleep = true;
  counts.sleeps += 1;
}

const peers = [];
const listener = new DoorbellListener(doorbells[me], onBell);
for (let id = 0; id < mesh.workers; id += 1) if (id !== me) peers.push(new Peer(id));
turn();

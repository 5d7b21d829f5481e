/**
 * One end of a ring in race.test.ts. Both ends meet before each round, act at the same moment, meet again and compare: words
 * of `meeting` are 0 and 1 the ends' arrivals, 2 what the writer did, 3 what the reader did, 4 stop.
 */
import { parentPort, workerData } from "node:worker_threads";

const { folder, ring, meeting, end, race, runMs, roundsMin } = workerData;
const { RingWriter, RING_FULL } = await import(`${folder}/ring/writer.js`);
const { RingReader } = await import(`${folder}/ring/reader.js`);

const words = new Int32Array(meeting);
const mine = end === "writer" ? 0 : 32;
const theirs = 32 - mine;
const WRITER_DID = 64;
const READER_DID = 96;
const STOP = 128;

const writer = end === "writer" ? new RingWriter(ring) : undefined;
const reader = end === "reader" ? new RingReader(ring) : undefined;
const accept = () => true;
/** Three of these fill a ring, so that both acts take about as long. */
const bodyBytes = writer?.maxBodyBytes ?? 0;
let arrivals = 0;

/** Waits until the other end has come as far. */
function meet() {
  arrivals += 1;
  Atomics.store(words, mine, arrivals);
  while (Atomics.load(words, theirs) < arrivals);
}

/** A few nanoseconds more each round, in turns: the two ends pass each other in every order. */
function linger(round) {
  const turns = end === "writer" ? round % 61 : 61 - (round % 67);
  let sum = 0;
  for (let turn = 0; turn < turns; turn += 1) sum += turn & round;
  return sum;
}

/** Sleep against publish: who slept and was not rung has lost a message. */
function sleepRound(round) {
  meet();
  linger(round);
  if (writer !== undefined) {
    writer.tryClaim(1, 8);
    writer.commit();
    words[WRITER_DID] = writer.publish() ? 1 : 0;
  } else {
    words[READER_DID] = reader.armSleep() ? 1 : 0;
  }
  meet();
  const isLost = words[READER_DID] === 1 && words[WRITER_DID] === 0;
  meet();
  if (reader !== undefined) {
    reader.wake();
    reader.drain(100, accept);
  }
  return isLost;
}

/** Waiting for space against its release: who waits for a ring that is empty, and was not rung, waits for ever. */
function spaceRound(round) {
  if (writer !== undefined) {
    writer.stopAwaitingSpace();
    while (writer.tryClaim(1, bodyBytes) !== RING_FULL) writer.commit();
    writer.publish();
  }
  meet();
  linger(round);
  if (writer !== undefined) {
    words[WRITER_DID] = writer.awaitSpace(bodyBytes) ? 1 : 0;
  } else {
    reader.drain(1_000, accept);
    words[READER_DID] = reader.takeSpaceBell() ? 1 : 0;
  }
  meet();
  const isLost = words[WRITER_DID] === 1 && words[READER_DID] === 0;
  meet();
  return isLost;
}

const seen = { rounds: 0, lost: 0, waited: 0 };
const until = performance.now() + runMs;
while (Atomics.load(words, STOP) === 0) {
  if ((race === "sleep" ? sleepRound : spaceRound)(seen.rounds)) seen.lost += 1;
  seen.waited += words[end === "writer" ? WRITER_DID : READER_DID];
  seen.rounds += 1;
  // The writer decides between two meetings, so that both ends see the same.
  if (end === "writer" && seen.rounds >= roundsMin && performance.now() > until) Atomics.store(words, STOP, 1);
  meet();
}
parentPort.postMessage(seen);

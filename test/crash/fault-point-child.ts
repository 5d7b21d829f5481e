/**
 * The child process of the fault point test: queues on a log under a random load, which kills itself where it is told to.
 * The places are reached by wrapping, here, what the log calls and is called with.
 */

/** Arguments: directory, partition's queues as JSON, seed, number of the last message so far, fault point, at which coming to it, turns. */
export const CHILD = `
import { writeSync } from "node:fs";
import { Region } from "./base/region.js";
import { MESSAGE_HEADER_BYTES, writeMessageHeader } from "./frame/message.js";
import { Environment } from "./log/environment.js";
import { openPartitionLog } from "./log/partition-log.js";
import { PartitionQueues } from "./queue/partition-queues.js";
import { Queue } from "./queue/queue.js";

const [directory, records, seed, lastNumber, faultPoint, coming, turnsMax] = process.argv.slice(2);
let state = Number(seed);
const random = () => { state = (Math.imul(state, 1664525) + 1013904223) >>> 0; return state / 2 ** 32; };
const below = (bound) => Math.floor(random() * bound);
const say = (what) => writeSync(1, JSON.stringify(what) + "\\n");

let number = Number(lastNumber);
let given = 0;
let left = Number(coming);
function reach(point) {
  if (point !== faultPoint) return;
  left -= 1;
  if (left > 0) return;
  say({ killedAt: point, number, given });
  process.kill(process.pid, "SIGKILL");
  for (;;);
}

// What the log is told, until the seal that it belongs to.
let changes = [];
let sealed = 0;
let isFirst = true;
let isClosing = false;
let hasRewrites = false;
let hasMerges = false;

const { commit, putBatch, close } = Environment.prototype;
Environment.prototype.putBatch = function (store, batch, value) {
  if (store === "batches" && batch < sealed) {
    if (value.readUInt16LE(8) === 2) hasMerges = true;
    else hasRewrites = true;
  }
  putBatch.call(this, store, batch, value);
};
Environment.prototype.commit = async function (write) {
  const batch = sealed;
  hasRewrites = hasMerges = false;
  const done = commit.call(this, write);
  const kind = isClosing ? "last commit" : isFirst ? "repairs" : hasMerges ? "merges" : hasRewrites ? "rewrites" : "commit";
  isFirst = false;
  if (faultPoint === kind + " given" && left === 1) {
    const until = performance.now() + (random() < 0.4 ? 0 : random() * 3);
    while (performance.now() < until); // LMDB writes on a thread of its own.
  }
  reach(kind + " given");
  await done;
  say({ stored: batch });
  reach(kind + " stored");
};
Environment.prototype.close = async function () {
  reach("environment closing");
  await close.call(this);
  reach("environment closed");
};
const { committed } = Queue.prototype;
Queue.prototype.committed = function (batch, nowMs) {
  committed.call(this, batch, nowMs);
  reach("queue told");
};

const log = openPartitionLog({
  directory, partition: 0, deadBytesFloor: 20_000, merge: { smallBytes: 3_000, mergedBytes: 4_000, batchesMin: 3 },
  events: {
    onSeal(batch) {
      reach("sealing");
      queues.onSeal(batch);
      log.put("meta", "last", Buffer.from(String(batch)));
      say({ sealed: batch, number, given, changes });
      changes = [];
      sealed = batch;
      reach("sealed");
    },
    onCommitted(batch) {
      queues.onCommitted(batch, nowMs());
      reach("told");
      if (!isClosing) setImmediate(turn);
    },
    onFailed(batch, fault) { console.error(batch, fault); process.exit(3); },
    onDamage(damage) { console.error(damage); process.exit(4); },
  },
});
const { add, settle, put, recover } = log;
log.add = function (target, ...more) {
  const position = add.call(log, target, ...more);
  if (position < 0) return position;
  given = position;
  changes.push({ added: position, target, number });
  return position;
};
log.settle = function (position) {
  settle.call(log, position);
  changes.push({ settled: position });
  reach("settled");
};
log.put = function (table, key, value) {
  put.call(log, table, key, value);
  changes.push({ key: table + "/" + key, value: value && Buffer.from(value).toString("base64") });
};
log.recover = function (visit) {
  recover.call(log, (record) => { visit(record); reach("recovering"); });
};

/** One millisecond a message: time stands still while nothing is published. */
const nowMs = () => 1_000_000_000_000 + number;

function message() {
  number += 1;
  const payload = Buffer.from((number + ":").padEnd(number % 41 === 0 ? 30_000 : 20 + ((number * 37) % 900), "x"));
  const clientId = Buffer.from("k" + ((number * 7) % 23));
  const topic = Buffer.from("t");
  const region = Region.allocate(MESSAGE_HEADER_BYTES + topic.length + payload.length + clientId.length);
  const lengths = {
    topicBytes: topic.length, propertiesBytes: 0, payloadBytes: payload.length, clientIdBytes: clientId.length,
    usernameBytes: 0, peerBytes: 0,
  };
  const expiresAtMs = number % 4 === 0 ? nowMs() + 40 + (number % 50) : 0;
  writeMessageHeader(region, 0, lengths, 1, false, 5, nowMs(), expiresAtMs);
  region.bytes.set(Buffer.concat([topic, payload, clientId]), MESSAGE_HEADER_BYTES);
  return region;
}

const queues = new PartitionQueues(log, random);
const opened = JSON.parse(records).map((record) => queues.open(record, () => undefined));
/** Records of a session, say: of no queue here. */
const others = [];
const inFlight = [];
const offer = {};

function publish() {
  const region = message();
  const staged = log.stage(region, 0, region.bytes.length);
  if (staged < 0) return;
  if (random() < 0.2) {
    const position = log.add(9, staged, 0, 0, 0, 0);
    if (position >= 0) others.push(position);
  } else {
    const first = below(opened.length);
    opened[first].accept(region, 0, staged, nowMs());
    if (random() < 0.3) opened[(first + 1) % opened.length].accept(region, 0, staged, nowMs());
  }
}

const takeAny = (list) => {
  const [taken] = list.splice(below(list.length), 1);
  return taken;
};

function work() {
  for (let times = below(20); times > 0; times -= 1) publish();
  for (const queue of opened) {
    for (let times = below(8); times > 0 && queue.peek(nowMs(), offer); times -= 1) {
      const holder = below(3);
      queue.handOut(offer.position, holder, nowMs());
      inFlight.push({ queue, holder, position: offer.position });
    }
  }
  for (let times = below(inFlight.length > 60 ? 40 : 15); times > 0 && inFlight.length > 0; times -= 1) {
    const { queue, holder, position } = takeAny(inFlight);
    queue.settle(holder, position, random() < 0.9, nowMs());
  }
  if (random() < 0.05) {
    const queue = opened[below(opened.length)];
    const holder = below(3);
    queue.giveBack(holder);
    for (const held of inFlight.splice(0)) if (held.queue !== queue || held.holder !== holder) inFlight.push(held);
  }
  for (let times = below(others.length > 100 ? 20 : 4); times > 0 && others.length > 0; times -= 1) {
    log.settle(takeAny(others));
  }
  if (random() < 0.5) {
    log.put("sessions", "s" + below(10), random() < 0.3 ? undefined : Buffer.alloc(1 + below(500), below(256)));
  }
  if (queues.nextDeadlineMs() <= nowMs()) queues.onDeadline(nowMs());
}

let turns = 0;
function turn() {
  turns += 1;
  work();
  if (turns > Number(turnsMax)) return end();
  log.flush();
  if (!log.isCommitting) return setImmediate(turn);
  work();
  if (random() < 0.5) log.flush(); // Then the next batch is sealed before this one's end is told.
}

async function end() {
  isClosing = true;
  queues.writeKept();
  const closing = log.close();
  reach("closing");
  await closing;
}

queues.recover((record) => others.push(record.position));
reach("recovered");
log.flush();
if (!log.isCommitting) turn();
`;

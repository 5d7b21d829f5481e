// Worker of hand-over.test.ts: opens what it is handed, answers CONNECT with CONNACK, sends every other packet back.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { parentPort } from "node:worker_threads";
import { Transport } from "../../dist/transport/transport.js";

const transport = new Transport({ wake: () => setImmediate(() => transport.flush()) });

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc");

class Echo {
  constructor(connection) {
    this.connection = connection;
  }
  onPacket(region, start, end) {
    const { connection } = this;
    if (region.bytes[start] === 0x10) {
      Buffer.from([0x20, 2, 0, 0]).copy(connection.output.bytes, connection.reserve(4));
      return;
    }
    const offset = connection.reserve(end - start);
    region.bytes.copy(connection.output.bytes, offset, start, end);
    if (!connection.isWritable) connection.pauseReading();
  }
  onDrained() {
    this.connection.resumeReading();
  }
  onFault() {
    this.connection.destroy();
  }
  onWritten() {}
  onClosed() {
    parentPort.postMessage({ closed: 1 });
  }
}

parentPort.on("message", (message) => {
  if (message.kind === "handOver") {
    const connection = transport.open(message.handOver);
    connection.start(new Echo(connection));
  } else if (message.kind === "count") {
    collectGarbage();
    parentPort.postMessage({
      connections: transport.connectionCount,
      heldBytes: transport.readBuffer.heldBytes,
      outputBytes: transport.outputs.arena.usedBytes,
    });
  }
});

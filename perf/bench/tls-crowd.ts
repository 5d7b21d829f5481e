/**
 * A process of clients over TLS: node tls-crowd.js PORT CA CONNECTIONS HANDSHAKES PREFIX. Connects them all with MQTT 3.1.1, says `ready` with the
 * milliseconds that took, keeps them until its input ends, and says how many the broker has closed.
 */
import { readFileSync } from "node:fs";
import { connect, createSecureContext } from "node:tls";

const [port, caPath, connections, handshakes, prefix] = process.argv.slice(2);
const secureContext = createSecureContext({ ca: readFileSync(caPath!) });
const wanted = Number(connections);
let begun = 0;
let greeted = 0;
let closed = 0;
const beganMs = performance.now();

function connectPacket(clientId: string): Buffer {
  const id = Buffer.from(clientId);
  const head = Buffer.of(0x10, 12 + id.length, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 0, 0, id.length);
  return Buffer.concat([head, id]);
}

function dial(): void {
  if (begun === wanted) return;
  const clientId = `${prefix}-${begun}`;
  begun += 1;
  const socket = connect({ port: Number(port), host: "127.0.0.1", secureContext });
  socket.setNoDelay(true);
  socket.write(connectPacket(clientId));
  socket.once("data", () => {
    greeted += 1;
    if (greeted === wanted) process.stdout.write(`ready ${(performance.now() - beganMs).toFixed(1)}\n`);
    else dial();
  });
  socket.on("error", (error) => process.stderr.write(`${clientId}: ${error.message}\n`));
  socket.on("close", () => {
    closed += 1;
  });
}

for (let each = 0; each < Number(handshakes); each += 1) dial();
process.stdin.resume();
process.stdin.on("end", () => process.stdout.write(`closed ${closed}\n`, () => process.exit(0)));

// Child of acceptor.test.ts, run under a low limit of descriptors: an acceptor that keeps what it is handed until told
// to let go. Speaks to its parent over Node's message channel.
import { closeDescriptor } from "../../dist/base/posix.js";
import { Acceptor } from "../../dist/transport/acceptor.js";

const faults = [];
const held = [];
const acceptor = new Acceptor({
  host: "127.0.0.1",
  port: 0,
  listener: "mqtt",
  connectionsMax: 1_000,
  nowMs: () => performance.now(),
  onConnect: (handOver) => held.push(handOver),
  onFault: (error) => faults.push(error.code),
});
await acceptor.listen();
process.on("message", (order) => {
  if (order === "let go") for (const { fd } of held.splice(0)) closeDescriptor(fd);
  if (order === "stop") process.exit(0);
  process.send({ clientIds: held.map(({ clientId }) => clientId), faults });
});
process.send({ port: Number(acceptor.address.split(":").at(-1)) });

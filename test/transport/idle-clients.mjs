// Child of hand-over.test.ts: opens argv[3] connections to port argv[2], waits for each CONNACK, holds them until killed.
import { connect } from "node:net";

const [port, count] = process.argv.slice(2).map(Number);
const packet = Buffer.from([0x10, 13, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 60, 0, 1, 0x63]);
let open = 0;
let begun = 0;
const sockets = [];
function next() {
  if (begun === count) return;
  begun += 1;
  const socket = connect(port, "127.0.0.1", () => socket.write(packet));
  sockets.push(socket);
  socket.once("data", () => {
    open += 1;
    if (open === count) console.log("open");
    next();
  });
}
for (let index = 0; index < 50; index += 1) next();
process.stdin.resume().on("end", () => process.exit(0));

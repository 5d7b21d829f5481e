// Child of late-unwrapper.test.ts, run under a low limit of descriptors: all are taken when the first connections come.
import { closeSync, openSync } from "node:fs";
import { LateUnwrapper } from "../../dist/worker/late-unwrapper.js";

const listener = { name: "ws", type: "ws", host: "127.0.0.1", port: 0, connectionsMax: 1, path: "/", origins: null };
const nowMs = () => performance.now();
const unwrapper = new LateUnwrapper({ listeners: [listener], certificates: [null], nowMs });
if (process.argv[2] === "prepared") await unwrapper.prepare();
const taken = [];
try {
  for (;;) taken.push(openSync("/dev/null", "r"));
} catch {}
const outcomeOf = (fd) =>
  new Promise((resolve) => {
    const opened = (_, given) => resolve(`opened ${given.fd}`);
    const failed = (error, given) => resolve(`${error.code} ${given.fd}`);
    unwrapper.open({ listener: 0, fd, peer: "192.0.2.1:1", address: "192.0.2.1", head: null }, opened, failed);
  });
const outcomes = await Promise.all([outcomeOf(0), outcomeOf(1)]);
for (const fd of taken) closeSync(fd);
console.log(outcomes.join(", "));

// Child of late-unwrapper.test.ts, run under a low limit of descriptors: all are taken when the first connection comes.
import { closeSync, openSync } from "node:fs";
import { LateUnwrapper } from "../../dist/worker/late-unwrapper.js";

const taken = [];
try {
  for (;;) taken.push(openSync("/dev/null", "r"));
} catch {}
const unwrapper = new LateUnwrapper({ listeners: [], certificates: [], nowMs: () => performance.now() });
const connection = (fd) => ({ listener: 0, fd, peer: "192.0.2.1:1", address: "192.0.2.1", head: null });
const outcomes = await Promise.all(
  [0, 1].map(
    (fd) =>
      new Promise((resolve) => {
        unwrapper.open(
          connection(fd),
          () => resolve("opened"),
          (error, given) => resolve(`${error.code} ${given.fd}`),
        );
      }),
  ),
);
for (const fd of taken) closeSync(fd);
console.log(JSON.stringify(outcomes));

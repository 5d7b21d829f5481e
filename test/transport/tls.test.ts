/**
 * Goal: a stream of TLS comes to who waits for its socket, also when sockets cannot be told apart by their peers, as those whose peer is gone.
 * Method: pairs of sockets without addresses.
 */
import { Socket } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import { expect, test } from "vitest";
import { newSocketPair } from "../../src/base/posix.ts";
import { TlsTerminator } from "../../src/transport/tls.ts";
import { Authority, plainTls } from "../harness/certificates.ts";
import { isMissing } from "../harness/needs.ts";
import { until } from "./fixture.ts";

test.skipIf(isMissing("openssl"))("the handshake of one socket is not taken for that of another", async () => {
  const authority = new Authority();
  const terminator = new TlsTerminator(plainTls(authority));
  const received = ["", ""];
  const pairs = [newSocketPair(), newSocketPair()].map((fds) => fds.map((fd) => new Socket({ fd })));
  for (const [index, [served]] of pairs.entries()) {
    terminator.receive(served!, (stream: TLSSocket) => {
      stream.on("data", (bytes: Buffer) => {
        received[index] += bytes.toString();
      });
    });
  }
  const clients = pairs.map(([, socket]) => connect({ socket: socket!, ca: authority.pem, host: "localhost" }));
  clients[0]!.write("first");
  await until(() => received.join("") === "first");
  expect(received).toEqual(["first", ""]);
  clients[1]!.write("second");
  await until(() => received.join("") === "firstsecond");
  for (const socket of pairs.flat()) socket.destroy();
  authority.remove();
});

/** HTTP as bytes on a socket, for what no client library would send. */
import { connect, type Socket } from "node:net";

/** Sends the pieces, with pauses between them, and gives everything that came until the other side closed or `waitMs` passed. */
export async function exchange(
  port: number,
  pieces: readonly (string | Buffer)[],
  { pauseMs = 0, waitMs = 5_000, until }: { pauseMs?: number; waitMs?: number; until?: RegExp } = {},
): Promise<{ readonly text: string; readonly isClosed: boolean }> {
  const socket = await open(port);
  let text = "";
  let isClosed = false;
  const ended = new Promise<void>((resolve) => {
    socket.on("data", (piece) => {
      text += piece.toString("latin1");
      if (until?.test(text)) resolve();
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      isClosed = true;
      resolve();
    });
    setTimeout(resolve, waitMs).unref();
  });
  for (const piece of pieces) {
    if (isClosed || socket.destroyed) break;
    socket.write(piece);
    if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  await ended;
  socket.destroy();
  return { text, isClosed };
}

export function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => resolve(socket));
    socket.once("error", reject);
  });
}

/** The statuses of all responses in a text, in order. */
export const statusesOf = (text: string): number[] =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));

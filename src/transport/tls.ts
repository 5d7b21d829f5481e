/**
 * TLS of a listener: what it is made of, and a server that makes plain streams of sockets. The one door to node:tls.
 *
 * Versions are 1.2 and 1.3. The ciphers are Node's own list, which knows no weak ones. A client may not negotiate again.
 */
import { constants, randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { createSecureContext, createServer, type SecureVersion, type Server, type TLSSocket } from "node:tls";
import { CONNECT_DEADLINE_MS } from "../base/limits.ts";

export const CLIENT_AUTHENTICATIONS = ["none", "optional", "required"] as const;
export type ClientAuthentication = (typeof CLIENT_AUTHENTICATIONS)[number];
export const TLS_VERSIONS = ["1.2", "1.3"] as const;
export type TlsVersion = (typeof TLS_VERSIONS)[number];

/** Plain data, the contents of files in PEM: it crosses to the workers. */
export interface TlsMaterial {
  /** The certificate, and those that lead to its authority. */
  readonly certificate: string;
  readonly key: string;
  /** The authorities that client certificates are verified against; null without any. */
  readonly authorities: string | null;
  readonly clientAuthentication: ClientAuthentication;
  readonly minVersion: TlsVersion;
  /** Other certificates, for clients that ask for such a host; `*.` stands for one level. */
  readonly byHost: readonly { readonly host: string; readonly certificate: string; readonly key: string }[];
  /** See `newTicketKeys`. */
  readonly ticketKeys: Uint8Array;
}

/**
 * What session tickets are sealed with: the same in all threads, so that a client that comes back is spared the full handshake wherever it
 * arrives. Of one listener and one reading of its files: a session that others vouched for is not resumed.
 */
export function newTicketKeys(): Uint8Array {
  return randomBytes(TICKET_KEYS_BYTES);
}

/** Throws an Error in OpenSSL's words for what is no certificate, no key, or a key of another certificate. */
export function checkTls(material: TlsMaterial): void {
  for (const pair of [material, ...material.byHost]) createSecureContext(contextOf(pair, material));
}

export class TlsTerminator {
  readonly #server: Server;
  readonly #refusesUnverified: boolean;
  /** By the socket that TLS is taken off. */
  readonly #handshakes = new WeakMap<Socket, (stream: TLSSocket, certificateCommonName: string | null) => void>();

  /** Throws as `checkTls`. */
  constructor(material: TlsMaterial) {
    const { clientAuthentication, byHost } = material;
    this.#refusesUnverified = clientAuthentication !== "none";
    this.#server = createServer(
      {
        ...contextOf(material, material),
        requestCert: clientAuthentication !== "none",
        rejectUnauthorized: clientAuthentication === "required",
        handshakeTimeout: CONNECT_DEADLINE_MS,
        ticketKeys: Buffer.from(material.ticketKeys),
      },
      (stream) => this.#onSecure(stream),
    );
    for (const pair of byHost) this.#server.addContext(pair.host, contextOf(pair, material));
    this.#server.on("tlsClientError", (_error, stream) => stream.destroy());
  }

  /**
   * Takes the handshake on a socket that nothing was read from. Its end, and its deadline, are the caller's: with the socket everything is
   * gone. `onSecure` hears the common name of a certificate that was verified.
   */
  receive(socket: Socket, onSecure: (stream: TLSSocket, certificateCommonName: string | null) => void): void {
    this.#handshakes.set(socket, onSecure);
    this.#server.emit("connection", socket);
  }

  #onSecure(stream: TLSSocket): void {
    const onSecure = this.#handshakes.get(socketUnder(stream));
    stream.on("error", () => {});
    const name = this.#refusesUnverified ? verifiedNameOf(stream) : null;
    if (onSecure === undefined || name === UNVERIFIED) stream.destroy();
    else onSecure(stream, name);
  }
}

const TICKET_KEYS_BYTES = 48;
const UNVERIFIED = Symbol("a certificate that no authority vouches for");

/** What a client shows it must be able to show: a certificate that is not verified is no better than a wrong password. */
function verifiedNameOf(stream: TLSSocket): string | null | typeof UNVERIFIED {
  const { subject } = stream.getPeerCertificate();
  if (subject === undefined) return null;
  if (!stream.authorized) return UNVERIFIED;
  const name: unknown = subject.CN;
  return typeof name === "string" && name !== "" ? name : null;
}

function contextOf({ certificate, key }: Pick<TlsMaterial, "certificate" | "key">, material: TlsMaterial) {
  return {
    cert: certificate,
    key,
    ...(material.authorities === null ? {} : { ca: material.authorities }),
    minVersion: `TLSv${material.minVersion}` as SecureVersion,
    honorCipherOrder: true,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  };
}

/** A member that has no public door (Node 20 to 24). What a socket tells of its peer names none that is gone. */
function socketUnder(stream: TLSSocket): Socket {
  return (stream as unknown as { readonly _parent: Socket })._parent;
}

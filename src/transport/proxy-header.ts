/**
 * The header of the PROXY protocol, versions 1 and 2, which a proxy sends before the first byte of its client. Read strictly: what is not
 * exactly such a header ends the connection.
 *
 * ```
 *   1:  PROXY TCP4 192.0.2.1 192.0.2.2 40000 1883 CR LF        at most 107 bytes
 *   2:  signature (12) · version and command · family · length (2) · addresses · (type · length (2) · value)*
 * ```
 *
 * https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
 */
import { isIPv4, isIPv6 } from "node:net";
import { PROXY_HEADER_BYTES_MAX } from "../base/limits.ts";

export type ProxyHeader =
  | { readonly kind: "incomplete" }
  | { readonly kind: "invalid" }
  /** `source` is null where the proxy speaks for itself, or does not know its client. */
  | {
      readonly kind: "complete";
      readonly byteLength: number;
      readonly source: { readonly address: string; readonly port: number } | null;
    };

/** Looks at the first `byteLength` bytes of a connection. */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  const start = bytes.subarray(0, SIGNATURE.length);
  if (SIGNATURE.subarray(0, start.length).equals(start)) return readVersion2(bytes);
  if (VERSION_1.startsWith(bytes.toString("latin1", 0, VERSION_1.length))) return readVersion1(bytes);
  return INVALID;
}

const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
const VERSION_1 = "PROXY ";
const VERSION_1_BYTES_MAX = 107;
const HEAD_BYTES = 16;
const INCOMPLETE: ProxyHeader = { kind: "incomplete" };
const INVALID: ProxyHeader = { kind: "invalid" };
const LOCAL = 0x20;
const PROXIED = 0x21;
/** Over TCP only: address bytes of the source, and of all addresses and ports together. */
const FAMILIES: ReadonlyMap<number, { readonly addressBytes: number; readonly totalBytes: number }> = new Map([
  [0x00, { addressBytes: 0, totalBytes: 0 }], // Unspecified: what follows says nothing.
  [0x11, { addressBytes: 4, totalBytes: 12 }],
  [0x21, { addressBytes: 16, totalBytes: 36 }],
]);

function readVersion1(bytes: Buffer): ProxyHeader {
  const end = bytes.indexOf("\r\n", 0, "latin1");
  if (end < 0) return bytes.length < VERSION_1_BYTES_MAX ? INCOMPLETE : INVALID;
  const byteLength = end + 2;
  if (byteLength > VERSION_1_BYTES_MAX) return INVALID;
  const line = bytes.toString("latin1", 0, end);
  if (line === "PROXY UNKNOWN" || line.startsWith("PROXY UNKNOWN "))
    return { kind: "complete", byteLength, source: null };
  const [, family, source, destination, sourcePort, destinationPort, ...more] = line.split(" ");
  const isAddress = family === "TCP4" ? isIPv4 : family === "TCP6" ? isPlainIPv6 : () => false;
  if (more.length > 0 || !isAddress(source ?? "") || !isAddress(destination ?? "")) return INVALID;
  const port = portOf(sourcePort);
  if (port === null || portOf(destinationPort) === null) return INVALID;
  return { kind: "complete", byteLength, source: { address: source!, port } };
}

function readVersion2(bytes: Buffer): ProxyHeader {
  if (bytes.length < HEAD_BYTES) return INCOMPLETE;
  const command = bytes[12]!;
  const family = FAMILIES.get(bytes[13]!);
  const byteLength = HEAD_BYTES + bytes.readUInt16BE(14);
  if (command !== LOCAL && command !== PROXIED) return INVALID;
  if (byteLength > PROXY_HEADER_BYTES_MAX) return INVALID;
  if (command === PROXIED && family === undefined) return INVALID;
  if (bytes.length < byteLength) return INCOMPLETE;
  const isAddressed = command === PROXIED && family !== undefined && family.totalBytes > 0;
  if (!isAddressed) return { kind: "complete", byteLength, source: null };
  const { addressBytes, totalBytes } = family;
  const extensions = HEAD_BYTES + totalBytes;
  if (extensions > byteLength || !areWhole(bytes, extensions, byteLength)) return INVALID;
  const address = addressOf(bytes.subarray(HEAD_BYTES, HEAD_BYTES + addressBytes));
  const port = bytes.readUInt16BE(HEAD_BYTES + 2 * addressBytes);
  return { kind: "complete", byteLength, source: { address, port } };
}

/** Whether the extensions fill [start, end) exactly: one that reaches beyond it makes the header a lie. */
function areWhole(bytes: Buffer, start: number, end: number): boolean {
  let at = start;
  while (at + 3 <= end) at += 3 + bytes.readUInt16BE(at + 1);
  return at === end;
}

function addressOf(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index).toString(16));
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1); // In the short form.
}

function isPlainIPv6(address: string): boolean {
  return isIPv6(address) && !address.includes("%");
}

function portOf(digits: string | undefined): number | null {
  if (digits === undefined || !/^(0|[1-9]\d{0,4})$/.test(digits)) return null;
  const port = Number(digits);
  return port <= 65_535 ? port : null;
}

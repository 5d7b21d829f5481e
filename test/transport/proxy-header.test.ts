/**
 * Goal: the header of a proxy is read exactly or not at all, however it is cut, and nothing of it is taken for its client's bytes.
 * Method: headers made by hand, each fed whole and byte by byte; each damaged in every way the specification forbids.
 */
import { describe, expect, test } from "vitest";
import { readProxyHeader } from "../../src/transport/proxy-header.ts";

const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");

function version2(command: number, family: number, body: Buffer, declared = body.length): Buffer {
  return Buffer.concat([SIGNATURE, Buffer.of(command, family, declared >> 8, declared & 0xff), body]);
}

const IPV4 = Buffer.of(192, 0, 2, 1, 192, 0, 2, 2, 0x9c, 0x40, 0x07, 0x5b);
const IPV6 = Buffer.concat([
  Buffer.from("20010db8000000000000000000000001", "hex"),
  Buffer.from("20010db8000000000000000000000002", "hex"),
  Buffer.of(0x9c, 0x40, 0x07, 0x5b),
]);
const extension = (type: number, value: Buffer): Buffer =>
  Buffer.concat([Buffer.of(type, value.length >> 8, value.length & 0xff), value]);
const at = (address: string) => ({ address, port: 40_000 });

describe("the header of a proxy", () => {
  test.each([
    ["1, IPv4", Buffer.from("PROXY TCP4 192.0.2.1 192.0.2.2 40000 1883\r\n"), at("192.0.2.1")],
    ["1, IPv6", Buffer.from("PROXY TCP6 2001:db8::1 2001:db8::2 40000 1883\r\n"), at("2001:db8::1")],
    ["1, unknown", Buffer.from("PROXY UNKNOWN\r\n"), null],
    ["1, unknown with more", Buffer.from("PROXY UNKNOWN ff:: ff:: 1 2\r\n"), null],
    ["2, IPv4", version2(0x21, 0x11, IPV4), at("192.0.2.1")],
    ["2, IPv6", version2(0x21, 0x21, IPV6), at("2001:db8::1")],
    [
      "2, with extensions",
      version2(0x21, 0x11, Buffer.concat([IPV4, extension(2, Buffer.from("host")), extension(4, Buffer.alloc(0))])),
      at("192.0.2.1"),
    ],
    ["2, the proxy itself", version2(0x20, 0x11, IPV4), null],
    ["2, the proxy itself, without an address", version2(0x20, 0, Buffer.alloc(0)), null],
    ["2, unspecified", version2(0x21, 0, Buffer.from("ignored")), null],
  ])("is read: %s", (_name, header, source) => {
    for (let end = 0; end < header.length; end += 1) {
      expect(readProxyHeader(header.subarray(0, end)).kind).toBe("incomplete");
    }
    for (const bytes of [header, Buffer.concat([header, Buffer.of(0x10, 0)])]) {
      expect(readProxyHeader(bytes)).toEqual({ kind: "complete", byteLength: header.length, source });
    }
  });

  test.each([
    ["no header", Buffer.from("\x10\x0c\0\x04MQTT")],
    ["1, a name", Buffer.from("PROXY TCP4 localhost 192.0.2.2 40000 1883\r\n")],
    ["1, another family", Buffer.from("PROXY TCP6 192.0.2.1 192.0.2.2 40000 1883\r\n")],
    ["1, a scope", Buffer.from("PROXY TCP6 fe80::1%lo fe80::2 40000 1883\r\n")],
    ["1, a port too large", Buffer.from("PROXY TCP4 192.0.2.1 192.0.2.2 65536 1883\r\n")],
    ["1, a port with a zero before it", Buffer.from("PROXY TCP4 192.0.2.1 192.0.2.2 01 1883\r\n")],
    ["1, too much", Buffer.from("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n")],
    ["1, too little", Buffer.from("PROXY TCP4 192.0.2.1\r\n")],
    ["1, without an end", Buffer.from(`PROXY UNKNOWN ${"x".repeat(100)}`)],
    ["2, another version", version2(0x11, 0x11, IPV4)],
    ["2, another command", version2(0x22, 0x11, IPV4)],
    ["2, over UDP", version2(0x21, 0x12, IPV4)],
    ["2, of a path", version2(0x21, 0x31, Buffer.alloc(216))],
    ["2, shorter than its addresses", version2(0x21, 0x11, IPV4.subarray(0, 11))],
    ["2, an extension beyond it", version2(0x21, 0x11, Buffer.concat([IPV4, Buffer.of(2, 0, 5, 1, 2)]))],
    ["2, the beginning of an extension", version2(0x21, 0x11, Buffer.concat([IPV4, Buffer.of(2, 0)]))],
    ["2, too long", version2(0x21, 0x11, IPV4, 0xffff)],
  ])("is refused: %s", (_name, header) => {
    expect(readProxyHeader(header)).toEqual({ kind: "invalid" });
  });
});

/**
 * Goal: a list of listeners is the whole truth; every bad value in it is one line that names the key and its place.
 * Method: settings files and variables, as a user writes them.
 */
import { describe, expect, test } from "vitest";
import { yamlOf } from "../../src/config/file.ts";
import { listenersOf } from "../../src/config/listeners.ts";
import { writtenSettings } from "../../src/config/settings.ts";
import { load, refusalOf } from "./sources.ts";

describe("listeners", () => {
  test("without a list there are two, of mqtt.port and ws.port", () => {
    const settings = load({ flags: { "--host": "0.0.0.0", "--mqtt-port": "1", "--ws-port": "2" } });
    expect(listenersOf(settings)).toMatchObject([
      { name: "mqtt", type: "tcp", address: "0.0.0.0", port: 1, max_connections: 100_000, path: null, origins: null },
      { name: "ws", type: "ws", address: "0.0.0.0", port: 2, max_connections: 100_000, path: "/mqtt", origins: null },
    ]);
  });

  test("a list replaces them, whatever mqtt.port and ws.port say", () => {
    const file = `
limits: {max_connections: 1000}
listeners:
  - type: tcp
    address: 0.0.0.0
    max_connections: 10
  - {type: ws, name: web, port: 80, path: /, origins: ["https://example.org"], max_connections: 2000}
`;
    const settings = load({ file, flags: { "--mqtt-port": "5" } });
    expect(listenersOf(settings)).toMatchObject([
      { name: "mqtt", type: "tcp", address: "0.0.0.0", port: 1883, max_connections: 10 },
      { name: "web", type: "ws", address: "127.0.0.1", port: 80, max_connections: 1_000, path: "/" },
    ]);
    expect(listenersOf(settings)[1]!.origins).toEqual(["https://example.org"]);
    const again = load({ file: yamlOf(writtenSettings(settings)) });
    expect(listenersOf(again)).toEqual(listenersOf(settings));
  });

  test("a variable holds a list as JSON", () => {
    const environment = { RESTANTE_LISTENERS: '[{"type": "ws", "port": 0}]' };
    expect(listenersOf(load({ environment })).map(({ name, port }) => [name, port])).toEqual([["ws", 0]]);
  });

  test.each([
    ["listeners: {}", "restante.yaml:1: listeners: expected a list"],
    ["listeners: []", "restante.yaml:1: listeners: expected 1 to 64 listeners"],
    ["listeners:\n  - tcp", "restante.yaml:2: listeners.0: expected a mapping of keys"],
    [
      "listeners:\n  - port: 1",
      "restante.yaml:2: listeners.0.type: expected one of tcp, tls, ws, wss; found undefined",
    ],
    ["listeners:\n  - type: tcp\n    prt: 1", "restante.yaml:3: listeners.0.prt: unknown key"],
    [
      "listeners:\n  - type: tcp\n    port: 70000",
      "restante.yaml:3: listeners.0.port: expected an integer from 0 to 65535; found 70000",
    ],
    [
      "listeners:\n  - type: tcp\n    path: /mqtt",
      "restante.yaml:3: listeners.0.path: a listener of type tcp has none",
    ],
    [
      "listeners:\n  - type: ws\n    path: mqtt",
      'restante.yaml:3: listeners.0.path: expected a path that begins with /; found "mqtt"',
    ],
    [
      "listeners:\n  - type: ws\n    origins: [example.org]",
      'restante.yaml:3: listeners.0.origins.0: expected an origin such as https://example.org; found "example.org"',
    ],
    [
      "listeners:\n  - type: tcp\n  - type: tcp\n    port: 2",
      "restante.yaml:3: listeners.1.name: two listeners are called mqtt; give each a name",
    ],
    [
      "listeners:\n  - type: tcp\n  - type: ws\n    port: 1883",
      "restante.yaml:4: listeners.1.port: 1883 is taken by mqtt",
    ],
    [
      "listeners:\n  - type: tcp\n    name: http",
      "restante.yaml:3: listeners.0.name: http is the name of another port",
    ],
    [
      "listeners:\n  - type: tcp\n    name: a b",
      'restante.yaml:3: listeners.0.name: expected a name of up to 32 letters, digits, - and _; found "a b"',
    ],
    ["listeners:\n  - type: tls", "restante.yaml:2: listeners.0: a listener of type tls needs tls, with cert and key"],
    [
      "listeners:\n  - type: ws\n    tls: {cert: a, key: b}",
      "restante.yaml:3: listeners.0.tls: a listener of type ws has none",
    ],
    [
      "listeners:\n  - type: wss\n    tls: {cert: a}",
      "restante.yaml:3: listeners.0.tls.key: expected a path; found undefined",
    ],
    [
      "listeners:\n  - type: tls\n    tls: {cert: a, key: b, client_auth: required}",
      "restante.yaml:3: listeners.0.tls.client_auth: required needs ca",
    ],
    [
      "listeners:\n  - type: tls\n    tls: {cert: a, key: b, min_version: 1.1}",
      "restante.yaml:3: listeners.0.tls.min_version: expected one of 1.2, 1.3; found 1.1",
    ],
    [
      'listeners:\n  - type: tls\n    tls: {cert: a, key: b, sni: [{host: "*", cert: a, key: b}]}',
      'restante.yaml:3: listeners.0.tls.sni.0.host: expected a host name, or *. and one; found "*"',
    ],
    [
      "listeners:\n  - type: tcp\n    proxy_protocol: {enabled: true}",
      "restante.yaml:3: listeners.0.proxy_protocol: needs trusted, a list of the proxies' networks",
    ],
    [
      "listeners:\n  - type: tcp\n    proxy_protocol: {enabled: true, trusted: [10.0.0.0/33]}",
      'restante.yaml:3: listeners.0.proxy_protocol.trusted.0: expected a network such as 10.0.0.0/8, or an address; found "10.0.0.0/33"',
    ],
  ])("%j is refused", (file, line) => {
    expect(refusalOf({ file })).toBe(line);
  });

  test("a port that REST takes is refused", () => {
    expect(refusalOf({ file: "listeners: [{type: tcp, port: 18083}]" })).toBe(
      "http.port: 18083 is taken by the listener mqtt",
    );
    expect(refusalOf({ flags: { "--ws-port": "18083" } })).toBe("http.port: 18083 is taken by ws.port");
  });
});

/**
 * The listeners for MQTT: those that the settings name, or the two of `mqtt.port` and `ws.port`. A list is the whole truth: what it does
 * not name is not opened.
 */
import { LISTENER_TYPES, type ListenerType } from "../transport/listener.ts";
import { CLIENT_AUTHENTICATIONS, type ClientAuthentication, TLS_VERSIONS, type TlsVersion } from "../transport/tls.ts";
import {
  choice,
  flagOr,
  host,
  hostPattern,
  httpPath,
  integer,
  listenerName,
  network,
  origin,
  path,
  UNBOUNDED,
  version,
} from "./kinds.ts";
import { listOf, mapping, type OutputOf, optional, optionalMapping, refined, required } from "./tree-schema.ts";

/** A listener with every default filled in. */
export interface ListenerSettings {
  readonly name: string;
  readonly type: ListenerType;
  readonly address: string;
  readonly port: number;
  readonly max_connections: number;
  /** Of a WebSocket; null for the others. */
  readonly path: string | null;
  readonly origins: readonly string[] | null;
  /** Of `tls` and `wss`; null for the others. */
  readonly tls: TlsSettings | null;
  /** Networks whose proxies announce their clients; null when nobody does. */
  readonly trusted_proxies: readonly string[] | null;
}

export interface TlsSettings {
  /** Paths of files in PEM. */
  readonly cert: string;
  readonly key: string;
  readonly ca: string | null;
  readonly client_auth: ClientAuthentication;
  readonly min_version: TlsVersion;
  readonly sni: readonly { readonly host: string; readonly cert: string; readonly key: string }[];
}

const tlsFields = mapping({
  cert: required(path),
  key: required(path),
  ca: optional(path),
  client_auth: optional(choice(CLIENT_AUTHENTICATIONS)),
  min_version: optional(version(TLS_VERSIONS)),
  sni: listOf(mapping({ host: required(hostPattern), cert: required(path), key: required(path) })).optional(),
});

const listenerFields = mapping({
  type: required(choice(LISTENER_TYPES)),
  name: optional(listenerName),
  address: optional(host),
  port: optional(integer(0, 65_535)),
  max_connections: optional(integer(1, UNBOUNDED)),
  path: optional(httpPath),
  origins: listOf(required(origin)).optional(),
  tls: tlsFields.optional(),
  proxy_protocol: optionalMapping({
    enabled: optional(flagOr()),
    trusted: listOf(required(network)).optional(),
  }),
});

type WrittenListener = OutputOf<typeof listenerFields>;
/** The same, frozen. */
type ReadableListener = DeepReadonly<WrittenListener>;
type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

export const listenerList = refined(listOf(refined(listenerFields, problemWithin)), problemBetween);

/** The listeners in force. */
export function listenersOf(settings: {
  readonly host: string;
  readonly mqtt: { readonly port: number };
  readonly ws: { readonly port: number };
  readonly limits: { readonly max_connections: number };
  readonly listeners: readonly ReadableListener[] | null;
}): readonly ListenerSettings[] {
  const { host: address, mqtt, ws, limits } = settings;
  const written: readonly ReadableListener[] = settings.listeners ?? [
    { type: "tcp", port: mqtt.port },
    { type: "ws", port: ws.port },
  ];
  return written.map((listener) => ({
    name: nameOf(listener),
    type: listener.type,
    address: listener.address ?? address,
    port: portOf(listener),
    max_connections: Math.min(listener.max_connections ?? limits.max_connections, limits.max_connections),
    path: isWebSocketType(listener.type) ? (listener.path ?? "/mqtt") : null,
    origins: listener.origins ?? null,
    tls: listener.tls === undefined ? null : tlsOf(listener.tls),
    trusted_proxies: listener.proxy_protocol?.enabled === true ? (listener.proxy_protocol.trusted ?? []) : null,
  }));
}

const LISTENERS_MAX = 64;
/** The name of REST's port where listeners are listed. */
const RESERVED_NAMES: readonly string[] = ["http"];
const DEFAULT_NAMES = { tcp: "mqtt", tls: "tls", ws: "ws", wss: "wss" } as const;
const DEFAULT_PORTS = { tcp: 1883, tls: 8883, ws: 8083, wss: 8084 } as const;

interface Problem {
  readonly path: readonly (string | number)[];
  readonly problem: string;
}

/** The same list with absolute paths. */
export function resolveListenerPaths(
  listeners: WrittenListener[] | null,
  resolvePath: (path: string) => string,
): WrittenListener[] | null {
  if (listeners === null) return null;
  return listeners.map((listener) => {
    if (listener.tls === undefined) return listener;
    const { cert, key, ca, sni, ...rest } = listener.tls;
    const pairOf = (pair: { cert: string; key: string }) => ({
      cert: resolvePath(pair.cert),
      key: resolvePath(pair.key),
    });
    return {
      ...listener,
      tls: {
        ...rest,
        ...pairOf({ cert, key }),
        ...(ca === undefined ? {} : { ca: resolvePath(ca) }),
        ...(sni === undefined ? {} : { sni: sni.map((one) => ({ host: one.host, ...pairOf(one) })) }),
      },
    };
  });
}

function tlsOf({ cert, key, ca, client_auth, min_version, sni }: NonNullable<ReadableListener["tls"]>): TlsSettings {
  return {
    cert,
    key,
    ca: ca ?? null,
    client_auth: client_auth ?? "none",
    min_version: min_version ?? "1.2",
    sni: sni ?? [],
  };
}

function problemWithin(listener: WrittenListener): Problem | undefined {
  const { type, tls } = listener;
  const isTlsType = type === "tls" || type === "wss";
  if (isTlsType && tls === undefined) {
    return { path: [], problem: `a listener of type ${type} needs tls, with cert and key` };
  }
  if (!isTlsType && tls !== undefined) return { path: ["tls"], problem: `a listener of type ${type} has none` };
  const { enabled = false, trusted = [] } = listener.proxy_protocol ?? {};
  if (enabled && trusted.length === 0) {
    return { path: ["proxy_protocol"], problem: "needs trusted, a list of the proxies' networks" };
  }
  if (tls !== undefined && (tls.client_auth ?? "none") !== "none" && tls.ca === undefined) {
    return { path: ["tls", "client_auth"], problem: `${tls.client_auth} needs ca` };
  }
  for (const key of ["path", "origins"] as const) {
    if (listener[key] !== undefined && !isWebSocketType(type)) {
      return { path: [key], problem: `a listener of type ${type} has none` };
    }
  }
  return undefined;
}

function problemBetween(listeners: readonly WrittenListener[]): Problem | undefined {
  if (listeners.length === 0 || listeners.length > LISTENERS_MAX) {
    return { path: [], problem: `expected 1 to ${LISTENERS_MAX} listeners` };
  }
  for (const [index, listener] of listeners.entries()) {
    const name = nameOf(listener);
    const before = listeners.slice(0, index);
    if (RESERVED_NAMES.includes(name)) return { path: [index, "name"], problem: `${name} is the name of another port` };
    if (before.some((other) => nameOf(other) === name)) {
      return { path: [index, "name"], problem: `two listeners are called ${name}; give each a name` };
    }
    const port = portOf(listener);
    const same = before.find(
      (other) => port !== 0 && portOf(other) === port && (other.address ?? "") === (listener.address ?? ""),
    );
    if (same !== undefined) return { path: [index, "port"], problem: `${port} is taken by ${nameOf(same)}` };
  }
  return undefined;
}

function nameOf(listener: Pick<WrittenListener, "type" | "name">): string {
  return listener.name ?? DEFAULT_NAMES[listener.type];
}

function portOf(listener: Pick<WrittenListener, "type" | "port">): number {
  return listener.port ?? DEFAULT_PORTS[listener.type];
}

function isWebSocketType(type: ListenerType): boolean {
  return type === "ws" || type === "wss";
}

/**
 * The listeners for MQTT: those that the settings name, or the two of `mqtt.port` and `ws.port`. A list is the whole truth: what it does
 * not name is not opened.
 */
import { LISTENER_TYPES, type ListenerType } from "../transport/listener.ts";
import { choice, host, httpPath, integer, listenerName, origin, UNBOUNDED } from "./kinds.ts";
import { listOf, mapping, type OutputOf, optional, refined, required } from "./tree-schema.ts";

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
}

const listenerFields = mapping({
  type: required(choice(LISTENER_TYPES)),
  name: optional(listenerName),
  address: optional(host),
  port: optional(integer(0, 65_535)),
  max_connections: optional(integer(1, UNBOUNDED)),
  path: optional(httpPath),
  origins: listOf(required(origin)).optional(),
});

type WrittenListener = OutputOf<typeof listenerFields>;
/** The same, frozen. */
type ReadableListener = { readonly [K in keyof WrittenListener]: Readonly<WrittenListener[K]> };

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
  }));
}

const LISTENERS_MAX = 64;
/** The name of REST's port where listeners are listed. */
const RESERVED_NAMES: readonly string[] = ["http"];
const DEFAULT_NAMES = { tcp: "mqtt", ws: "ws" } as const;
const DEFAULT_PORTS = { tcp: 1883, ws: 8083 } as const;

interface Problem {
  readonly path: readonly (string | number)[];
  readonly problem: string;
}

function problemWithin(listener: WrittenListener): Problem | undefined {
  const { type } = listener;
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
  return type === "ws";
}

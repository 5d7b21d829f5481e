/** What a listener is: plain data, made of the settings, that crosses to the workers. */

export const LISTENER_TYPES = ["tcp", "tls", "ws", "wss"] as const;
export type ListenerType = (typeof LISTENER_TYPES)[number];

export interface Listener {
  /** Unique among all. */
  readonly name: string;
  readonly type: ListenerType;
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Connections of this listener at one time. */
  readonly connectionsMax: number;
  /** Of the WebSocket, exactly; null for the others. */
  readonly path: string | null;
  /** Values of the Origin header that may open a WebSocket; null for any, and for clients that send none. */
  readonly origins: readonly string[] | null;
  /** Networks of the proxies that announce their clients in the PROXY protocol; null without proxies. */
  readonly trustedProxies: readonly string[] | null;
}

export function isWebSocket(listener: Listener): boolean {
  return listener.type === "ws" || listener.type === "wss";
}

export function isTls(listener: Listener): boolean {
  return listener.type === "tls" || listener.type === "wss";
}

/** Whether something around the MQTT bytes has to be taken off by a worker before they can be read. */
export function isWrapped(listener: Listener): boolean {
  return listener.type !== "tcp";
}

/** The listeners for MQTT: an acceptor for each, under bounds of their own and common ones. What each lets in is logged as it opens. */
import { BlockList, isIPv6 } from "node:net";
import { CodedError } from "../base/errors.ts";
import { NOTICE_PERIOD_MS } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import { Throttle } from "../base/throttle.ts";
import type { ListenerSettings } from "../config/listeners.ts";
import { Acceptor, ConnectionTotal } from "../transport/acceptor.ts";
import type { AddressCap } from "../transport/address-cap.ts";
import type { ConnectGate } from "../transport/connect-gate.ts";
import type { HandOver, WrappedConnection } from "../transport/hand-over.ts";
import { isTls, isWebSocket, isWrapped, type Listener } from "../transport/listener.ts";
import { Strangers } from "../transport/strangers.ts";
import { isLoopback } from "./access-log.ts";

export interface ListenersOptions {
  readonly listeners: readonly Listener[];
  /** Of all together. */
  readonly connectionsMax: number;
  /** Whether clients may come without a name. */
  readonly allowAnonymous: boolean;
  readonly gate: ConnectGate;
  /** Of all together. */
  readonly addressCap: AddressCap;
  readonly onConnect: (handOver: HandOver) => void;
  readonly onWrapped: (connection: WrappedConnection) => void;
  readonly logger: Logger;
}

export class Listeners {
  readonly #options: ListenersOptions;
  readonly #strangers = new Strangers({ nowMs: () => performance.now() });
  readonly #acceptors = new Map<string, Acceptor>();

  constructor(options: ListenersOptions) {
    this.#options = options;
    const { connectionsMax, addressCap, gate, onConnect, onWrapped, logger } = options;
    const total = new ConnectionTotal(connectionsMax);
    const faults = new Throttle(NOTICE_PERIOD_MS);
    for (const [index, listener] of options.listeners.entries()) {
      const acceptor = new Acceptor({
        host: listener.host,
        port: listener.port,
        listener: listener.name,
        connectionsMax: listener.connectionsMax,
        total,
        addressCap,
        strangers: this.#strangers,
        gate,
        nowMs: () => performance.now(),
        onConnect,
        ...(isWrapped(listener) ? { onWrapped: (rest) => onWrapped({ ...rest, listener: index }) } : {}),
        ...(listener.trustedProxies === null ? {} : { isTrustedProxy: trusting(listener.trustedProxies) }),
        onFault: (error) =>
          faults.note(1, performance.now(), (count) => {
            logger.warn({ err: error, listener: listener.name, count }, "connections could not be accepted");
          }),
      });
      this.#acceptors.set(listener.name, acceptor);
    }
  }

  /** Opens all; their addresses, by name. Rejects with a CodedError for the first that cannot listen. */
  async listen(): Promise<Record<string, string>> {
    const addresses: Record<string, string> = {};
    for (const listener of this.#options.listeners) {
      const acceptor = this.#acceptors.get(listener.name)!;
      try {
        await acceptor.listen();
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        const where = `${listener.host}:${listener.port}`;
        throw new CodedError("LISTEN_FAILED", `cannot listen for MQTT on ${where} (${listener.name}): ${code}`, error);
      }
      addresses[listener.name] = acceptor.address ?? "";
      this.#report(listener, addresses[listener.name]!);
    }
    return addresses;
  }

  /** Connections of this listener are gone: the address of each. */
  release(listener: string, addresses: readonly string[]): void {
    this.#acceptors.get(listener)?.release(addresses);
  }

  /** Stops accepting and sends the strangers away. Resolves when the ports are free. */
  async close(): Promise<void> {
    this.#strangers.close();
    await Promise.all([...this.#acceptors.values()].map((acceptor) => acceptor.close()));
  }

  #report(listener: Listener, address: string): void {
    const { name: listenerName, type, connectionsMax } = listener;
    const security = {
      listener: listenerName,
      address,
      type,
      loopback: isLoopback(address),
      tls: isTls(listener),
      anonymous: this.#options.allowAnonymous,
      connectionsMax,
      ...(listener.trustedProxies === null ? {} : { proxies: listener.trustedProxies }),
      ...(isWebSocket(listener) ? { path: listener.path, origins: listener.origins ?? "any" } : {}),
    };
    this.#options.logger.info(security, "listening");
  }
}

/** Whether an address lies in one of these networks. */
function trusting(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", bits] = network.split("/");
    const family = isIPv6(address) ? "ipv6" : "ipv4";
    list.addSubnet(address, bits === undefined ? (family === "ipv6" ? 128 : 32) : Number(bits), family);
  }
  return (address) => list.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}

/** What crosses to the workers of a listener's settings. */
export function listenerOf(settings: ListenerSettings): Listener {
  const { name, type, address, port, max_connections, path, origins, trusted_proxies } = settings;
  return {
    name,
    type,
    host: address,
    port,
    connectionsMax: max_connections,
    path,
    origins,
    trustedProxies: trusted_proxies,
  };
}

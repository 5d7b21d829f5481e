/**
 * How many connections one address may have at a time, over all listeners. An IPv6 address counts with its /64: whoever has one address of it
 * has all of them.
 */
import { isIPv6 } from "node:net";

export class AddressCap {
  readonly #connectionsMax: number;
  readonly #counts = new Map<string, number>();

  /** Infinity counts nothing. */
  constructor(connectionsMax: number) {
    this.#connectionsMax = connectionsMax;
  }

  isFull(address: string): boolean {
    if (this.#connectionsMax === Number.POSITIVE_INFINITY) return false;
    return (this.#counts.get(networkOf(address)) ?? 0) >= this.#connectionsMax;
  }

  /** One more of this address, full or not. */
  enter(address: string): void {
    if (this.#connectionsMax === Number.POSITIVE_INFINITY) return;
    const network = networkOf(address);
    this.#counts.set(network, (this.#counts.get(network) ?? 0) + 1);
  }

  /** One that has entered is gone. */
  leave(address: string): void {
    if (this.#connectionsMax === Number.POSITIVE_INFINITY) return;
    const network = networkOf(address);
    const count = (this.#counts.get(network) ?? 0) - 1;
    if (count > 0) this.#counts.set(network, count);
    else this.#counts.delete(network);
  }

  /** Addresses and networks that have connections. */
  get size(): number {
    return this.#counts.size;
  }
}

const GROUPS = 8;
const NETWORK_GROUPS = 4;

/** The /64 of an IPv6 address; others as they are. */
function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [front = "", back] = address.split("::");
  const before = front === "" ? [] : front.split(":");
  const after = back === undefined || back === "" ? [] : back.split(":");
  const dotted = after.at(-1)?.includes(".") === true ? 1 : 0; // An IPv4 address at the end takes two groups.
  while (back !== undefined && before.length + after.length + dotted < GROUPS) before.push("0");
  return [...before, ...after]
    .slice(0, NETWORK_GROUPS)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":");
}

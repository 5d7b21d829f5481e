/** What the log says of access at the start: how safe each listener is, and a warning for one that is open to the network. */
import { BlockList } from "node:net";
import type { Logger } from "../base/logger.ts";
import type { AccessFiles } from "../config/access-files.ts";
import type { Settings } from "../config/settings.ts";
import { summaryOf } from "./access-reload.ts";

/** `listeners`: by name, "host:port". */
export function logAccess(
  settings: Settings,
  accessFiles: AccessFiles,
  listeners: Readonly<Record<string, string>>,
  logger: Logger,
): void {
  const { allow_anonymous: anonymous } = settings.access;
  logger.info(summaryOf(settings, accessFiles), "access");
  if (!anonymous && accessFiles.users === undefined) {
    logger.warn("access.allow_anonymous is false and there is no password file: no client gets in by a password");
  }
  for (const [listener, address] of Object.entries(listeners)) {
    if (!anonymous || isLoopback(address)) continue;
    logger.warn(
      { listener, address },
      "anonymous clients may connect from the network: set access.allow_anonymous to false",
    );
  }
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** Whether only this machine reaches "host:port" or "[host]:port". */
export function isLoopback(address: string): boolean {
  const host = address.slice(0, address.lastIndexOf(":")).replace(/^\[(.*)\]$/, "$1");
  return loopback.check(host, host.includes(":") ? "ipv6" : "ipv4");
}

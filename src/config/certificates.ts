/** The certificates of the listeners, read from their files and looked at before anything uses them. */
import { readFileSync } from "node:fs";
import { checkTls, newTicketKeys, type TlsMaterial } from "../transport/tls.ts";
import type { ListenerSettings, TlsSettings } from "./listeners.ts";
import { configurationFault } from "./source.ts";

/** What each listener's TLS is made of, null for those without. Throws CONFIG_INVALID with one line that names the listener and the file. */
export function readCertificates(listeners: readonly ListenerSettings[]): readonly (TlsMaterial | null)[] {
  return listeners.map(({ name, tls }) => (tls === null ? null : materialOf(name, tls)));
}

function materialOf(listener: string, tls: TlsSettings): TlsMaterial {
  const read = (key: string, file: string): string => {
    try {
      return readFileSync(file, "utf8");
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw configurationFault(`the listener ${listener}: tls.${key}: cannot read ${file}: ${code}`, error);
    }
  };
  const material: TlsMaterial = {
    certificate: read("cert", tls.cert),
    key: read("key", tls.key),
    authorities: tls.ca === null ? null : read("ca", tls.ca),
    clientAuthentication: tls.client_auth,
    minVersion: tls.min_version,
    byHost: tls.sni.map(({ host, cert, key }) => ({
      host,
      certificate: read("sni.cert", cert),
      key: read("sni.key", key),
    })),
    ticketKeys: newTicketKeys(),
  };
  try {
    checkTls(material);
  } catch (error) {
    const files = [tls, ...tls.sni].flatMap(({ cert, key }) => [cert, key]).join(", ");
    throw configurationFault(`the listener ${listener}: tls: ${(error as Error).message} (${files})`, error);
  }
  if (material.authorities !== null && !material.authorities.includes("-----BEGIN CERTIFICATE-----")) {
    throw configurationFault(`the listener ${listener}: tls.ca: ${tls.ca} holds no certificate`);
  }
  return material;
}

/** Certificates made by openssl as a test runs: an authority, and whatever it vouches for. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newTicketKeys, type TlsMaterial } from "../../src/transport/tls.ts";

/** TLS of a listener that shows a new certificate of this authority, and asks for none. */
export function plainTls(authority: Authority): TlsMaterial {
  const { cert, key } = authority.issue("the broker");
  return {
    certificate: readFileSync(cert, "utf8"),
    key: readFileSync(key, "utf8"),
    authorities: null,
    clientAuthentication: "none",
    minVersion: "1.2",
    byHost: [],
    ticketKeys: newTicketKeys(),
  };
}

export interface CertificatePaths {
  readonly cert: string;
  readonly key: string;
}

export class Authority {
  readonly directory = mkdtempSync(join(tmpdir(), "restante-certificates-"));
  /** Its own certificate. */
  readonly ca = join(this.directory, "ca.pem");
  #count = 0;

  constructor(name = "authority of a test") {
    openssl(
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
      ...["-subj", `/CN=${name}`, "-keyout", join(this.directory, "ca.key"), "-out", this.ca],
    );
  }

  get pem(): string {
    return readFileSync(this.ca, "utf8");
  }

  /** A certificate for `commonName`, good for `hosts`; `into` names its files. */
  issue(commonName: string, hosts: readonly string[] = ["localhost"], into = `c${++this.#count}`): CertificatePaths {
    const [cert, key, request, extensions] = ["pem", "key", "csr", "ext"].map((end) =>
      join(this.directory, `${into}.${end}`),
    ) as [string, string, string, string];
    const names = ["IP:127.0.0.1", ...hosts.map((host) => `DNS:${host}`)].join(",");
    writeFileSync(extensions, `subjectAltName=${names}\n`);
    openssl(
      ...["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", `/CN=${commonName}`],
      ...["-keyout", key, "-out", request],
    );
    openssl(
      ...["x509", "-req", "-in", request, "-CA", this.ca, "-CAkey", join(this.directory, "ca.key"), "-days", "2"],
      ...["-set_serial", String(++this.#count + 1_000), "-extfile", extensions, "-out", cert],
    );
    return { cert, key };
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function openssl(...args: readonly string[]): void {
  const { status, stderr } = spawnSync("openssl", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`openssl ${args[0]}: ${stderr}`);
}

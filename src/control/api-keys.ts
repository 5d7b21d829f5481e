/**
 * API keys: who calls. The secrets are hashed with a salt of this process as soon as they arrive and are never kept,
 * so that no dump, log or answer can show them.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";

export type ApiRole = "administrator" | "viewer" | "publisher";

export const API_SCOPES = [
  "connections",
  "publish",
  "data_integration",
  "access_control",
  "gateways",
  "monitoring",
  "cluster_operations",
  "system",
  "audit",
  "license",
] as const;
export type ApiScope = (typeof API_SCOPES)[number];

/** A key as the bootstrap file gives it. */
export interface ApiKey {
  readonly key: string;
  readonly secret: string;
  readonly role: ApiRole;
  /** Left out = all; empty = none. Those that are no `ApiScope` open nothing. */
  readonly scopes?: readonly string[];
}

/** An authenticated caller; its name is safe to log. */
export interface Caller {
  readonly name: string;
  readonly role: ApiRole;
  readonly scopes: ReadonlySet<string> | "all";
}

interface Entry {
  readonly digest: Buffer;
  readonly caller: Caller;
}

export class ApiKeys {
  readonly #salt = randomBytes(32);
  readonly #entries = new Map<string, Entry>();
  /** What an unknown key is compared with, so that it takes as long as a known one. */
  readonly #nobody: Buffer = randomBytes(32);

  /** Of several entries with the same key the last counts. */
  constructor(keys: readonly ApiKey[]) {
    for (const { key, secret, role, scopes } of keys) {
      this.#entries.set(this.#digestOf(key).toString("hex"), {
        digest: this.#digestOf(secret),
        caller: { name: nameOf(key), role, scopes: scopes === undefined ? "all" : new Set(scopes) },
      });
    }
  }

  /** The caller with this key and secret, or undefined. Takes the same time for a wrong key as for a wrong secret. */
  callerOf(key: string, secret: string): Caller | undefined {
    const entry = this.#entries.get(this.#digestOf(key).toString("hex"));
    const isSame = timingSafeEqual(this.#digestOf(secret), entry?.digest ?? this.#nobody);
    return isSame ? entry?.caller : undefined;
  }

  #digestOf(text: string): Buffer {
    return createHmac("sha256", this.#salt).update(text, "utf8").digest();
  }
}

/** EMQX's name of a bootstrapped key. */
function nameOf(key: string): string {
  const digest = createHash("sha512").update(key, "utf8").digest("hex");
  return `from_bootstrap_file_${digest.slice(0, 16)}`;
}

/**
 * API keys, in EMQX's bootstrap format: a key a line, `key:secret`, `key:secret:role` or `key:secret:role:scope,scope`.
 * Blank lines are skipped, white space around a line is cut off; there are no comments. Unlike there, a bad line stops the start.
 * No fault ever shows a secret.
 */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CodedError } from "../base/errors.ts";
import { Secret } from "../base/secret.ts";

export const API_ROLES = ["administrator", "viewer", "publisher"] as const;
export type ApiRole = (typeof API_ROLES)[number];

export interface ApiKey {
  readonly key: string;
  readonly secret: Secret;
  readonly role: ApiRole;
  /** Present: only requests of these scopes; an empty list allows none. */
  readonly scopes?: readonly string[];
}

/** The keys of the configured file; without one, the key that the data directory keeps, made here the first time. */
export function loadApiKeys(file: string | null, dataDirectory: string, randomText: () => string): readonly ApiKey[] {
  if (file !== null) return parseApiKeyFile(file);
  const ownFile = join(dataDirectory, OWN_KEY_FILE);
  makeOwnKey(ownFile, randomText);
  const keys = parseApiKeyFile(ownFile);
  if (keys.length === 0) throw invalid(`${ownFile}: holds no key; remove the file to get a new one`);
  return keys;
}

/** The keys of a file. Throws API_KEYS_INVALID with the file, the line and the fault. */
export function parseApiKeyFile(file: string): readonly ApiKey[] {
  return parseApiKeys(readKeyFile(file), file);
}

/** The keys of a text; `name` is what faults call it. The last of several lines with one key counts. */
export function parseApiKeys(text: string, name: string): readonly ApiKey[] {
  const keys = new Map<string, ApiKey>();
  for (const [index, line] of text
    .replace(/^\uFEFF/, "")
    .split("\n")
    .entries()) {
    const trimmed = line.trim();
    if (trimmed === "") continue;
    const outcome = keyOf(trimmed);
    if (typeof outcome === "string") throw invalid(`${name}:${index + 1}: ${outcome}`);
    keys.set(outcome.key, outcome);
  }
  return [...keys.values()];
}

/** What crosses to another thread, where a Secret would arrive empty. Give it to nothing else. */
export interface RevealedApiKey {
  readonly key: string;
  readonly secret: string;
  readonly role: ApiRole;
  readonly scopes?: readonly string[];
}

export function revealApiKeys(keys: readonly ApiKey[]): readonly RevealedApiKey[] {
  return keys.map((key) => ({ ...key, secret: key.secret.reveal() }));
}

export function concealApiKeys(keys: readonly RevealedApiKey[]): readonly ApiKey[] {
  return keys.map((key) => ({ ...key, secret: new Secret(key.secret) }));
}

const OWN_KEY_FILE = "api-key.txt";
const KEY_FILE_BYTES_MAX = 1024 * 1024;
const FORM = "expected key:secret, key:secret:role or key:secret:role:scopes";

/** A key, or the fault in words. */
function keyOf(line: string): ApiKey | string {
  const [key, secret, role = "administrator", scopes, ...rest] = line.split(":");
  if (!key || secret === undefined) return FORM;
  if (secret === "") return `the secret is missing; ${FORM}`;
  if (role === "ns") return "keys with a namespace (key:secret:ns:…) are not supported";
  if (!isRole(role)) return `the role must be one of ${API_ROLES.join(", ")}`;
  if (rest.length > 0) return `too many colons; ${FORM}`;
  if (scopes === undefined) return { key, secret: new Secret(secret), role };
  const names = scopes
    .split(",")
    .map((scope) => scope.trim())
    .filter((scope) => scope !== "");
  return { key, secret: new Secret(secret), role, scopes: names };
}

function isRole(role: string): role is ApiRole {
  return API_ROLES.some((known) => known === role);
}

function readKeyFile(file: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw invalid(`cannot read the API keys in ${file}: ${(error as NodeJS.ErrnoException).code}`, error);
  }
  if (bytes.length > KEY_FILE_BYTES_MAX) throw invalid(`${file}: larger than 1MB; this is no file of API keys`);
  return bytes.toString("utf8");
}

/** Complete or not at all: written under another name, synced, then renamed. Only the holder of the directory's lock calls this. */
function makeOwnKey(file: string, randomText: () => string): void {
  if (existsSync(file)) return;
  const draft = `${file}.new`;
  try {
    rmSync(draft, { force: true }); // Left behind by a crash, maybe with another mode.
    writeFileSync(draft, `${randomText()}:${randomText()}\n`, { mode: 0o600, flag: "wx", flush: true });
    renameSync(draft, file);
  } catch (error) {
    throw new CodedError("DATA_DIR_UNUSABLE", `cannot write ${file}: ${(error as NodeJS.ErrnoException).code}`, error);
  }
}

function invalid(line: string, cause?: unknown): CodedError {
  return new CodedError("API_KEYS_INVALID", line, cause);
}

/**
 * Settings from environment variables.
 *
 * ```
 *  RESTANTE_QUEUES__MAX_QUEUE_COUNT = 500            queues.max_queue_count
 *  RESTANTE_API_KEYS_FILE = /run/secrets/api-keys    the file itself, for a key that names a file
 *  RESTANTE_LOG__LEVEL_FILE = /run/config/level      the content of the file, for every other key
 *  RESTANTE_CONFIG = /etc/restante.yaml              the settings file, as --config
 *  EMQX_API_KEY__BOOTSTRAP_FILE = /opt/…             api_keys, unless RESTANTE_API_KEYS is there
 *  RESTANTE_VAR_SITE = north                         no setting: for `getenv('SITE')` in key expressions
 * ```
 * A variable without a text counts as absent, as compose files leave it.
 */
import { readFileSync } from "node:fs";
import { configurationFault, dotted, emptyTree, isLeaf, type Source, trySet } from "./source.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export const CONFIG_VARIABLE = "RESTANTE_CONFIG";

/** Reads the variables. Throws CONFIG_INVALID for a file that cannot be read or a key that is given twice. */
export function environmentSource(environment: Environment): Source {
  const tree = emptyTree();
  const names = new Map<string, string>();
  const hidden = new Set<string>();

  const put = (name: string, path: readonly string[], value: unknown) => {
    if (!trySet(tree, path, value)) {
      const other = [...names].find(([known]) => overlap(known, dotted(path)))?.[1];
      throw configurationFault(`${name}: the same key as ${other}; give one of them`);
    }
    names.set(dotted(path), name);
  };

  for (const name of Object.keys(environment).sort()) {
    const value = environment[name];
    if (!name.startsWith(PREFIX) || name === CONFIG_VARIABLE || name.startsWith(EXPRESSION_PREFIX)) continue;
    if (value === undefined || value === "" || isServiceLink(name, value, environment)) continue;
    const path = pathOf(name);
    const pathOfContent = pathOf(name.slice(0, -FILE_SUFFIX.length));
    if (isLeaf(path) || !name.endsWith(FILE_SUFFIX) || !isLeaf(pathOfContent)) {
      put(name, path, structured(value));
    } else if (KEYS_NAMING_A_FILE.has(dotted(pathOfContent))) {
      put(name, pathOfContent, value);
    } else {
      put(name, pathOfContent, structured(contentOf(name, value)));
      hidden.add(dotted(pathOfContent));
    }
  }
  const bootstrapFile = environment[BOOTSTRAP_VARIABLE];
  if (bootstrapFile && !("api_keys" in tree)) put(BOOTSTRAP_VARIABLE, ["api_keys"], bootstrapFile);

  return {
    tree,
    placeOf: (path) => {
      const wanted = dotted(path);
      const [known, name] = [...names].find(([candidate]) => overlap(candidate, wanted)) ?? [wanted, spell(path)];
      return wanted.startsWith(`${known}.`) ? `${name}: ${wanted}` : name;
    },
    spell,
    isHidden: (path) => hidden.has(dotted(path)),
  };
}

/** Variables that set something in EMQX and nothing here: worth a warning. */
export function ignoredVariables(environment: Environment): readonly string[] {
  return Object.keys(environment)
    .filter((name) => name.startsWith("EMQX_") && name.includes("__") && name !== BOOTSTRAP_VARIABLE)
    .sort();
}

const PREFIX = "RESTANTE_";
/** What key expressions may read (`src/queue/key-functions/system.ts`). */
const EXPRESSION_PREFIX = "RESTANTE_VAR_";
const FILE_SUFFIX = "_FILE";
const BOOTSTRAP_VARIABLE = "EMQX_API_KEY__BOOTSTRAP_FILE";
/** Here `_FILE` is only a longer name: nobody keeps the path of a file of keys in a file. */
const KEYS_NAMING_A_FILE: ReadonlySet<string> = new Set(["api_keys"]);

function pathOf(name: string): readonly string[] {
  return name.slice(PREFIX.length).toLowerCase().split("__");
}

function spell(path: readonly string[]): string {
  return PREFIX + path.join("__").toUpperCase();
}

/** One path is the other, or lies below it. */
function overlap(one: string, other: string): boolean {
  return one === other || one.startsWith(`${other}.`) || other.startsWith(`${one}.`);
}

/** A value that holds keys of its own (`auto_create`), or is a list (`listeners`), is written as JSON. */
function structured(value: string): unknown {
  if (!value.startsWith("{") && !value.startsWith("[")) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

function contentOf(name: string, path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    throw configurationFault(`${name}: cannot read ${path}: ${(error as NodeJS.ErrnoException).code}`, error);
  }
}

/** Kubernetes tells every pod of a service named "restante…" where it is, in variables with our prefix. They are not ours. */
function isServiceLink(name: string, value: string, environment: Environment): boolean {
  return "KUBERNETES_SERVICE_HOST" in environment && (SERVICE_LINK.test(name) || /^(tcp|udp|sctp):\/\//.test(value));
}

const SERVICE_LINK = /^RESTANTE(_[A-Z0-9]+)*_(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT_\d+_(TCP|UDP|SCTP)(_[A-Z]+)?)$/;

/**
 * The settings in force: flags before environment before file before defaults, checked and frozen.
 *
 * ```
 *  file (YAML) ──► tree ─┐
 *  environment ──► tree ─┼─ each checked alone, so that a fault names its place ─► merged ─► rules between keys ─► Settings
 *  flags ────────► tree ─┘
 * ```
 */
import { resolve } from "node:path";
import { formatBytesize } from "../base/bytesize.ts";
import { RING_BYTES_MIN } from "../base/limits.ts";
import { CONFIG_VARIABLE, type Environment, environmentSource } from "./environment.ts";
import { fileSource } from "./file.ts";
import { type FlagValues, flagsSource } from "./flags.ts";
import { listenersOf, resolveListenerPaths } from "./listeners.ts";
import { readTree, type SettingsTree, settingsLeaves, type TreeFault, workersOfThisMachine } from "./schema.ts";
import { configurationFault, dotted, emptyTree, merge, type Source, type Tree, trySet } from "./source.ts";
import { suggestionFor } from "./suggestion.ts";

/** Nested as the file. Durations in milliseconds, sizes in bytes, paths absolute; `"infinity"` is no limit. Plain data: it may cross threads. */
export type Settings = DeepReadonly<Omit<SettingsTree, "workers"> & { workers: number }>;

export interface SettingsSources {
  /** By flag: `{"--mqtt-port": "1884"}`; `--config` too. */
  readonly flags: FlagValues;
  readonly environment: Environment;
  /** Relative paths start here. */
  readonly workingDirectory: string;
}

/** Throws CONFIG_INVALID with one line that names the key, its place and what is wrong. */
export function loadSettings({ flags, environment, workingDirectory }: SettingsSources): Settings {
  const file = flags["--config"] ?? (environment[CONFIG_VARIABLE] || undefined);
  const sources = [
    ...(file === undefined ? [] : [fileSource(file, resolve(workingDirectory, file))]),
    environmentSource(environment),
    flagsSource(flags),
  ];
  for (const source of sources) {
    const outcome = readTree(source.tree);
    if ("faults" in outcome) throw configurationFault(lineOf(outcome.faults[0]!, source));
  }
  const outcome = readTree(merge(sources.map(({ tree }) => tree)));
  if ("faults" in outcome) throw configurationFault(lineOf(outcome.faults[0]!, sources.at(-1)!));

  const { settings } = outcome;
  const resolved = {
    ...settings,
    workers: settings.workers === "auto" ? workersOfThisMachine() : settings.workers,
    listeners: resolveListenerPaths(settings.listeners, (path) => resolve(workingDirectory, path)),
    data_dir: resolve(workingDirectory, settings.data_dir),
    api_keys: resolveOptional(workingDirectory, settings.api_keys),
    access: {
      ...settings.access,
      password_file: resolveOptional(workingDirectory, settings.access.password_file),
      rules_file: resolveOptional(workingDirectory, settings.access.rules_file),
    },
  };
  checkBetweenKeys(resolved);
  return deepFreeze(resolved);
}

/** The settings as a tree that a settings file could hold: durations and sizes as text. */
export function writtenSettings(settings: Settings): Tree {
  const tree = emptyTree();
  for (const { path, write } of settingsLeaves()) {
    const value = path.reduce<unknown>((below, key) => (below as Tree)[key], settings);
    trySet(tree, path, write(value as never));
  }
  return tree;
}

const resolveOptional = (workingDirectory: string, path: string | null): string | null =>
  path === null ? null : resolve(workingDirectory, path);

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

function lineOf({ path, isUnknownKey, problem }: TreeFault, source: Source): string {
  const place = source.placeOf(path);
  if (isUnknownKey && path[0] === "listeners") return `${place}: unknown key`;
  if (isUnknownKey) {
    const suggestion = suggestionFor(path);
    return `${place}: unknown key${suggestion === undefined ? "" : `; did you mean ${source.spell(suggestion)}?`}`;
  }
  if (!source.isHidden(path)) return `${place}: ${problem}`;
  const leaf = settingsLeaves().find((candidate) => dotted(candidate.path) === dotted(path));
  return `${place}: the file must hold ${leaf?.expected ?? "a value"}`;
}

function checkBetweenKeys(settings: Settings): void {
  const { mqtt, ws, http, queues, workers, limits } = settings;
  if (settings.listeners === null && ws.port === mqtt.port && ws.port !== 0) {
    throw configurationFault(`ws.port: ${ws.port} is taken by mqtt.port`);
  }
  for (const { port, name } of listenersOf(settings)) {
    if (port !== http.port || port === 0) continue;
    const key = settings.listeners === null ? `${name}.port` : `the listener ${name}`;
    throw configurationFault(`http.port: ${port} is taken by ${key}`);
  }
  if (queues.auto_create.regular !== false && queues.auto_create.lastvalue !== false) {
    throw configurationFault("queues.auto_create: only one of regular and lastvalue may be on");
  }
  const ringsBytesMin = workers * (workers - 1) * RING_BYTES_MIN;
  if (limits.ring_budget < ringsBytesMin) {
    const needed = formatBytesize(ringsBytesMin);
    throw configurationFault(`limits.ring_budget: ${workers} workers need at least ${needed}`);
  }
}

function deepFreeze<T extends object>(value: T): T {
  for (const below of Object.values(value)) if (typeof below === "object" && below !== null) deepFreeze(below);
  return Object.freeze(value);
}

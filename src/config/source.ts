/**
 * A source of settings: a file, the environment or the command line. Each gives a tree of written values and knows how its keys
 * are spelled and where they stand, so that a fault can name the exact place.
 */
import { CodedError } from "../base/errors.ts";
import { settingsLeaves } from "./schema.ts";

/** Written values by key; without a prototype, so that no key has a meaning of its own. */
export interface Tree {
  [key: string]: unknown;
}

export interface Source {
  readonly tree: Tree;
  /** Where a key of this source stands: `restante.yaml:3: mqtt.port`, `RESTANTE_MQTT__PORT`, `--mqtt-port`. */
  placeOf(path: readonly string[]): string;
  /** How this source would spell another key. */
  spell(path: readonly string[]): string;
  /** The value is not to be shown: it came from a file of secrets. */
  isHidden(path: readonly string[]): boolean;
}

export function emptyTree(): Tree {
  return Object.create(null) as Tree;
}

export function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Puts a value at its path. False when something stands there or above it already. */
export function trySet(tree: Tree, path: readonly string[], value: unknown): boolean {
  let below = tree;
  for (const key of path.slice(0, -1)) {
    below[key] ??= emptyTree();
    const next = below[key];
    if (!isTree(next)) return false;
    below = next;
  }
  const last = path.at(-1)!;
  if (last in below) return false;
  below[last] = value;
  return true;
}

/** The later trees win, key by key. */
export function merge(trees: readonly Tree[]): Tree {
  const merged = emptyTree();
  for (const tree of trees) {
    for (const [key, value] of Object.entries(tree)) {
      const before = merged[key];
      merged[key] = isTree(before) && isTree(value) ? merge([before, value]) : value;
    }
  }
  return merged;
}

/** The path as the documentation writes it. */
export function dotted(path: readonly string[]): string {
  return path.join(".");
}

/** True for a key with a value, false for one with keys below it and for an unknown one. */
export function isLeaf(path: readonly string[]): boolean {
  const wanted = dotted(path);
  return settingsLeaves().some((leaf) => dotted(leaf.path) === wanted);
}

/** True for a key with keys below it. */
export function isSection(path: readonly string[]): boolean {
  const above = `${dotted(path)}.`;
  return settingsLeaves().some((leaf) => dotted(leaf.path).startsWith(above));
}

/** A fault that stops the start: one line. */
export function configurationFault(line: string, cause?: unknown): CodedError {
  return new CodedError("CONFIG_INVALID", line.replaceAll(/\s*\n\s*/g, " "), cause);
}

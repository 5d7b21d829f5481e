/**
 * The settings file: YAML 1.2, nested keys (`mqtt:` with `port:` below it) or dotted ones (`mqtt.port:`). The one door to yaml.
 */
import { readFileSync } from "node:fs";
import { type Document, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, stringify } from "yaml";
import { configurationFault, dotted, emptyTree, isSection, isTree, type Source, type Tree, trySet } from "./source.ts";

/** Reads a file. `name` is the path as the user gave it, `path` where it is. Throws CONFIG_INVALID. */
export function fileSource(name: string, path: string): Source {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw configurationFault(`cannot read the settings file ${name}: ${(error as NodeJS.ErrnoException).code}`, error);
  }
  return yamlSource(name, text);
}

/** The same of a text. */
export function yamlSource(name: string, text: string): Source {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { ...YAML, lineCounter });
  const lineAt = (offset: number) => lineCounter.linePos(offset).line;
  const [error] = document.errors;
  if (error !== undefined) throw configurationFault(`${name}:${lineAt(error.pos[0])}: ${error.message}`, error);

  const lines = new Map<string, number>();
  collectLines(document.contents, [], lineAt, lines);
  const placeOf = (path: readonly string[]) => {
    for (let length = path.length; length > 0; length -= 1) {
      const line = lines.get(dotted(path.slice(0, length)));
      if (line !== undefined) return `${name}:${line}: ${dotted(path)}`;
    }
    return `${name}: ${dotted(path)}`;
  };

  const written = plainValue(name, document);
  if (written !== null && !isTree(written)) throw configurationFault(`${name}: expected a mapping of keys`);
  const tree = emptyTree();
  const repeated = firstRepeated(tree, written ?? {}, []);
  if (repeated !== undefined) throw configurationFault(`${placeOf(repeated)}: given twice`);
  return { tree, placeOf, spell: dotted, isHidden: () => false };
}

/**
 * A YAML text of any shape, for other files than that of the settings: what it holds, and where a part of that stands. `invalid` makes
 * the error that is thrown.
 */
export function readYaml(
  name: string,
  text: string,
  invalid: (line: string, cause?: unknown) => Error,
): { readonly written: unknown; readonly placeOf: (path: readonly (string | number)[]) => string } {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { ...YAML, lineCounter });
  const lineAt = (offset: number) => lineCounter.linePos(offset).line;
  const [error] = document.errors;
  if (error !== undefined) throw invalid(`${name}:${lineAt(error.pos[0])}: ${error.message}`, error);
  const placeOf = (path: readonly (string | number)[]) => {
    for (let length = path.length; length > 0; length -= 1) {
      const node = document.getIn(path.slice(0, length), true);
      if (isNode(node) && node.range) return `${name}:${lineAt(node.range[0])}: ${path.join(".")}`;
    }
    return path.length === 0 ? name : `${name}: ${path.join(".")}`;
  };
  try {
    return { written: document.toJS({ maxAliasCount: ALIASES_MAX }), placeOf };
  } catch (error) {
    throw invalid(`${name}: ${(error as Error).message}`, error);
  }
}

/** The text of a settings file. */
export function yamlOf(tree: Tree): string {
  return stringify(tree);
}

/** Below "error", a second document would be passed over in silence. */
const YAML = { version: "1.2", prettyErrors: false, logLevel: "error" } as const;
/** Settings have no use for more; it stops texts that unfold to a huge tree. */
const ALIASES_MAX = 100;
/** Deeper than any key, and an end for an alias that holds itself. */
const DEPTH_MAX = 8;

/** Throws CONFIG_INVALID for aliases of nothing, or of too much. */
function plainValue(name: string, document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: ALIASES_MAX });
  } catch (error) {
    throw configurationFault(`${name}: ${(error as Error).message}`, error);
  }
}

/** The line of every key, and of every item of a list, by its dotted path. */
function collectLines(
  node: unknown,
  above: readonly string[],
  lineAt: (offset: number) => number,
  lines: Map<string, number>,
): void {
  if (isSeq(node)) {
    for (const [index, item] of node.items.entries()) {
      const path = [...above, String(index)];
      if (isNode(item)) lines.set(dotted(path), lineAt(item.range?.[0] ?? 0));
      collectLines(item, path, lineAt, lines);
    }
  }
  if (!isMap(node)) return;
  for (const { key, value } of node.items) {
    if (!isScalar(key)) continue;
    const parts = String(key.value).split(".");
    for (const index of parts.keys()) {
      lines.set(dotted([...above, ...parts.slice(0, index + 1)]), lineAt(key.range?.[0] ?? 0));
    }
    collectLines(value, [...above, ...parts], lineAt, lines);
  }
}

/** Copies written keys into the tree, dotted ones in parts. Answers the path of a key that is there already. */
function firstRepeated(tree: Tree, written: object, above: readonly string[]): readonly string[] | undefined {
  for (const [key, value] of Object.entries(written)) {
    const path = [...above, ...key.split(".")];
    if (value === null && isSection(path)) continue; // "queues:" with nothing but comments below it.
    if (isTree(value) && Object.keys(value).length > 0 && path.length < DEPTH_MAX) {
      const repeated = firstRepeated(tree, value, path);
      if (repeated !== undefined) return repeated;
    } else if (!trySet(tree, path, value)) return path;
  }
  return undefined;
}

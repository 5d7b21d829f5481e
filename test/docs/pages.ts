/** The pages of the documentation, and what a test wants to know of one: links, anchors, tables, shell blocks. */
import { readdirSync, readFileSync } from "node:fs";

export interface Page {
  /** Relative to the repository. */
  readonly path: string;
  readonly text: string;
}

export const read = (path: string): string => readFileSync(path, "utf8");

export const pageOf = (path: string): Page => ({ path, text: read(path) });

export const readme = pageOf("README.md");
export const architecture = pageOf("docs/ARCHITECTURE.md");
export const queues = pageOf("docs/queues.md");

export const pages: readonly Page[] = [
  readme,
  pageOf("CHANGELOG.md"),
  ...readdirSync("docs", { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".md"))
    .sort()
    .map((path) => pageOf(`docs/${path}`)),
];

/** Without fenced blocks, where nothing is a link. */
const withoutBlocks = (text: string): string => text.replaceAll(/^ *```[\s\S]*?^ *```$/gm, "");
const proseOf = (page: Page): string => withoutBlocks(page.text);

/** Targets of links, without those to other sites. */
export function linksOf(page: Page): string[] {
  return [...proseOf(page).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target!)
    .filter((target) => !/^[a-z]+:/.test(target));
}

/** The anchors that headings get on GitHub. */
export function anchorsOf(page: Page): string[] {
  return [...proseOf(page).matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

/** Files and folders of the repository that the page names in backticks, and the text it quotes of one right behind it. */
export function filesOf(page: Page): { path: string; quote: string | undefined }[] {
  const named =
    /`((?:src|test|docs|perf|native-bench|docker)\/[^`*<\s]+|\.[a-z-]+\.[a-z]+|\.ci\/run)`(?: \("([^"]+)"\))?/g;
  return [...proseOf(page).matchAll(named)].map(([, path, quote]) => ({ path: path!, quote }));
}

/** From a heading to the next one of its level or above. */
export function sectionOf(page: Page, heading: string): string {
  const lines = page.text.split("\n");
  const start = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, "") === heading);
  if (start < 0) throw new Error(`${page.path} has no heading "${heading}"`);
  const level = lines[start]!.indexOf(" ");
  const end = lines.findIndex((line, index) => index > start && /^#+ /.test(line) && line.indexOf(" ") <= level);
  return lines.slice(start, end < 0 ? undefined : end).join("\n");
}

/** The cells of all table rows in a text, without heads and rules. */
export function rowsOf(text: string): string[][] {
  const lines = text.split("\n");
  return lines
    .filter(
      (line, index) =>
        /^\|.*\|$/.test(line) && !/^\|[-|]+\|$/.test(line) && !/^\|[-|]+\|$/.test(lines[index + 1] ?? ""),
    )
    .map((line) =>
      line
        .slice(1, -1)
        .split("|")
        .map((cell) => cell.trim()),
    );
}

/** What stands in backticks. */
export const codesOf = (text: string): string[] =>
  [...withoutBlocks(text).matchAll(/`([^`]+)`/g)].map(([, code]) => code!);

/** The commands of the page's shell blocks, continued lines joined. */
export function commandsOf(page: Page): string[] {
  return [...page.text.matchAll(/^ *```(?:sh|shell)\n([\s\S]*?)^ *```$/gm)].flatMap(([, block]) =>
    block!
      .replaceAll(/\\\n\s*/g, " ")
      .split(/\n(?=\s*(?:curl|npm|cd|python3|mosquitto|seq|for|done|git|docker|CONSUMER)\b)/)
      .map((command) => command.trim()),
  );
}

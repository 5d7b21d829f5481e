/**
 * Goal: the pages name what is there: files, anchors, scripts, flags, settings, requests, frames, words, fields.
 * Method: the pages are read back and compared with the repository, with package.json and with the code itself; requests in
 * shell blocks go through the route table and the checks of their fields.
 */
import { existsSync, readdirSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, it } from "vitest";
import { parseDuration } from "../../src/base/duration.ts";
import { FLAGS } from "../../src/config/flags.ts";
import { settingsLeaves } from "../../src/config/schema.ts";
import { controlParts } from "../../src/control/control.ts";
import { parseFields } from "../../src/control/fields.ts";
import { publishFields } from "../../src/control/publish-fields.ts";
import { changeOf, definitionOf } from "../../src/control/queue-fields.ts";
import { compileKeyExpression } from "../../src/queue/key-expression.ts";
import { QUEUES_CONFIG } from "../control/fixture.ts";
import { KeepingWorkers } from "../control/keeping-workers.ts";
import {
  anchorsOf,
  architecture,
  codesOf,
  commandsOf,
  filesOf,
  linksOf,
  pages,
  queues,
  read,
  readme,
  rowsOf,
  sectionOf,
} from "./pages.ts";

const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
const options = {
  workers: new KeepingWorkers(),
  apiKeys: [],
  queuesConfig: QUEUES_CONFIG,
  nodeName: "n",
  payloadBytesMax: 1024,
  access: {
    inForce: async () => ({ anonymous: true, users: null, rules: null }),
    reload: async () => ({ anonymous: true, users: null, rules: null }),
  },
  nowMs: () => 0,
  log,
  onFault: () => undefined,
};
const routes = controlParts(options, () => true).routes;

describe.each(pages)("$path", (page) => {
  it("links to what is there", () => {
    const broken = linksOf(page).filter((target) => {
      const [file, anchor] = target.split("#") as [string, string | undefined];
      const path = file === "" ? page.path : normalize(join(dirname(page.path), file));
      if (!existsSync(path)) return true;
      if (anchor === undefined) return false;
      const linked = pages.find((candidate) => candidate.path === path);
      return linked === undefined || !anchorsOf(linked).includes(anchor);
    });
    expect(broken).toEqual([]);
  });

  it("names files that are there, and quotes what they say", () => {
    const wrong = filesOf(page).filter(({ path, quote }) => {
      // What a build or a first start makes.
      if (/^dist\b|^data\b/.test(path)) return false;
      return !existsSync(path) || (quote !== undefined && !read(path).includes(`"${quote}"`));
    });
    expect(wrong).toEqual([]);
  });

  it("shows requests that are accepted", () => {
    const wrong: string[] = [];
    for (const command of commandsOf(page).filter((text) => text.startsWith("curl "))) {
      const path = /http:\/\/[\w.]+:18083(\/[^\s'"]*)/.exec(command)?.[1] ?? "no address";
      const method = / -X ([A-Z]+)/.exec(command)?.[1] ?? "GET";
      const match = routes.match(method, path);
      const body = / -d '([^']*)'/.exec(command)?.[1];
      try {
        if (match.kind !== "found") throw new Error(match.kind);
        if (body === undefined) continue;
        const fields: unknown = JSON.parse(body);
        if (match.route.pattern.endsWith("/publish")) parseFields(publishFields, fields);
        else if (method === "POST") definitionOf(fields);
        else changeOf(fields);
      } catch (error) {
        wrong.push(`${command}: ${(error as Error).message}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it("speaks of no place of one machine", () => {
    expect(page.text).not.toMatch(/\/(work|tmp|root|home)\//);
  });
});

describe("README.md", () => {
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };

  it("names every npm script, and no other", () => {
    const named = [...readme.text.matchAll(/npm (?:run )?((?<=run )[a-z:]+|test|start)/g)].map(([, name]) => name!);
    const ours = Object.keys(scripts).filter((name) => !/^(pre|post)/.test(name));
    expect([...new Set(named)].sort()).toEqual(ours.sort());
  });

  it("lists the flags with their defaults", () => {
    const rows = rowsOf(sectionOf(readme, "Running it")).map(([flag, byDefault]) => [
      flag!.replace(/^`(--[a-z-]+) .*$/, "$1"),
      byDefault,
    ]);
    const expected = FLAGS.map(({ flag, path }) => {
      const byDefault = settingsLeaves().find((leaf) => leaf.path.join(".") === path.join("."))!.byDefault;
      return [flag, byDefault === null ? "`DATA_DIR/api-key.txt`" : `\`${byDefault}\``];
    });
    expect(rows).toEqual([["--config", "none"], ...expected]);
  });

  it("uses no option that its program does not have", () => {
    const known = new Set(["--config", "--version", ...FLAGS.map(({ flag }) => flag)]);
    for (const program of [
      "perf/bench/main.ts",
      "perf/bench/connections.ts",
      "perf/bench/strangers.ts",
      "test/fuzz/main.ts",
    ]) {
      for (const [, name] of read(program).matchAll(/^ {4,6}(\w+): \{ type: "(?:string|boolean)"/gm))
        known.add(`--${name}`);
    }
    for (const file of ["client.py", "consumer.py", "producer.py"]) {
      const source = read(`docs/examples/job-queue/${file}`);
      for (const [, option] of source.matchAll(/add_argument\("(--[a-z-]+)"/g)) known.add(option!);
    }
    const used = [...readme.text.matchAll(/(?<![\w-])--[a-z][a-z-]*/g)].map(([option]) => option);
    expect(used.filter((option) => !known.has(option))).toEqual([]);
  });

  it("names settings that are there", () => {
    const keys = new Set(settingsLeaves().map(({ path }) => path.join(".")));
    const named = [...readme.text.matchAll(/`((?:limits|session|queues)\.[a-z_.]+)`/g)].map(([, key]) => key!);
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter((key) => !keys.has(key))).toEqual([]);
  });

  const isRefused = (body: object): boolean => {
    try {
      definitionOf(body);
      return false;
    } catch {
      return true;
    }
  };
  const hasFile = (pattern: RegExp): boolean =>
    readdirSync("src", { recursive: true, encoding: "utf8" }).some((path) => pattern.test(path));
  const hasRoute = (pattern: RegExp): boolean => routes.routes.some((route) => pattern.test(route.pattern));

  it.each([
    ["Shared subscriptions", !read("src/session/subscribe.ts").includes("sharedSubscriptionsNotSupported")],
    ["WebSocket", hasFile(/transport\/web-socket/)],
    ["TLS", hasFile(/transport\/tls/)],
    ["Looking into a queue, purging", hasRoute(/\/messages$/)],
    ["Counters and latencies", hasRoute(/:name\/metrics$/)],
    ["Functions in key expressions", compileKeyExpression("concat(['a', message.from])").ok],
    ["Dashboard, metrics", hasRoute(/prometheus/) || hasFile(/dashboard/)],
    ["Listing clients", routes.routes.some(({ method, pattern }) => method === "GET" && /\/clients/.test(pattern))],
  ])("says whether this is there: %s", (label, isThere) => {
    const row = rowsOf(sectionOf(readme, "What is there")).find(([cell]) => cell!.startsWith(label));
    expect(row).toBeDefined();
    expect(!row!.join(" ").includes("**not yet**")).toBe(isThere);
  });

  it("says whether memory queues are there", () => {
    const isThere = !isRefused({ topic_filter: "t", durability: "memory" });
    expect(!readme.text.includes('`"durability": "memory"` (refused)')).toBe(isThere);
  });
});

describe("docs/ARCHITECTURE.md", () => {
  it("has every room, and no other", () => {
    const rooms = rowsOf(sectionOf(architecture, "Rooms")).map(([room]) => room!.replaceAll("`", ""));
    expect(rooms.sort()).toEqual(
      readdirSync("src")
        .filter((room) => readdirSync(`src/${room}`).length > 0)
        .sort(),
    );
  });

  it("has files of a length that one can read", () => {
    const lengths = readdirSync("src", { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts"))
      .map((path) => [path, read(`src/${path}`).split("\n").length - 1] as const);
    expect(lengths.length).toBeGreaterThan(100);
    expect(lengths.filter(([, lines]) => lines > 400)).toEqual([]);
  });

  const border = sectionOf(architecture, "The border between threads");

  it("has every frame, and no other", () => {
    const frames = rowsOf(border).flatMap(([frame]) => codesOf(frame!));
    const kinds = [...read("src/frame/kinds.ts").matchAll(/^export const ([A-Z]+) = \d+;$/gm)].map(([, kind]) => kind!);
    expect(frames).toEqual(kinds);
  });

  it.each(["src/worker/commands.ts", "src/worker/thread-protocol.ts", "src/control/thread-protocol.ts"])(
    "has every command or message of %s, and no other",
    (path) => {
      const end = border.indexOf(`\`${path}\``);
      const start = Math.max(border.lastIndexOf("*By", end), border.lastIndexOf(";", end));
      const named = codesOf(border.slice(start, end)).sort();
      const kinds = [...read(path).matchAll(/readonly kind: "(\w+)"/g)].map(([, kind]) => kind!);
      expect(named).toEqual([...new Set(kinds)].sort());
    },
  );

  const words = rowsOf(sectionOf(architecture, "Glossary"));
  const lettersOf = (text: string): string => text.toLowerCase().replaceAll(/[^a-z0-9]/g, "");

  it("has each word once, in order", () => {
    const names = words.map(([word]) => word!);
    expect(names.length).toBeGreaterThan(60);
    expect(names).toEqual([...new Set(names)].sort((one, other) => lettersOf(one).localeCompare(lettersOf(other))));
  });

  it.each(words)("uses the word %s where it says", (word, _meaning, where) => {
    expect(lettersOf(read(codesOf(where!)[0]!))).toContain(lettersOf(word!));
  });

  it("numbers its invariants, each with what keeps it", () => {
    const invariants = sectionOf(architecture, "Invariants")
      .split(/\n(?=\d+\. )/)
      .slice(1);
    expect(invariants.map((text) => Number.parseInt(text, 10))).toEqual(invariants.map((_, index) => index + 1));
    expect(invariants.filter((text) => !/`[\w.-]+(\/[\w.-]+)*\.(ts|cjs)`/.test(text))).toEqual([]);
  });
});

describe("docs/queues.md", () => {
  const fields = rowsOf(sectionOf(queues, "Fields"));

  it("has every field with its default", () => {
    const { limits, ...plain } = definitionOf({ topic_filter: "t" });
    const real = new Map<string, unknown>(Object.entries(plain));
    for (const [name, value] of Object.entries(limits)) real.set(`limits.${name}`, value);
    expect(fields.map(([field]) => codesOf(field!)[0]!).sort()).toEqual([...real.keys()].sort());

    for (const [field, byDefault] of fields) {
      const name = codesOf(field!)[0]!;
      if (name === "topic_filter" || name === "name") continue;
      const text = byDefault!.replaceAll("`", "");
      const duration = parseDuration(text.replace(" ", ""));
      const shown = /^[\d,]+$/.test(text)
        ? Number(text.replace(",", ""))
        : /^\d+ [a-z]+$/.test(text)
          ? duration.value
          : text;
      expect([name, shown]).toEqual([name, typeof shown === "number" ? real.get(name) : String(real.get(name))]);
    }
  });

  it("names variables that key expressions have", () => {
    const source = read("src/queue/message-variable.ts");
    const named = codesOf(queues.text).filter((code) => /^message\.[a-z]/.test(code));
    expect(named.length).toBeGreaterThan(9);
    const unknown = named.map((code) => code.replace(/\.<name>$/, "")).filter((path) => !source.includes(`"${path}"`));
    expect(unknown.filter((path) => !path.startsWith("message.headers.properties.User-Property."))).toEqual([]);
  });

  it("has a row in the loss matrix for each kind of end", () => {
    const rows = rowsOf(sectionOf(queues, "What may be lost"));
    expect(rows.filter((row) => row.length !== 5 || row.some((cell) => cell === ""))).toEqual([]);
  });
});

describe("docs/decisions", () => {
  const records = readdirSync("docs/decisions").filter((file) => file !== "README.md");

  it("have a title, and a number of their own", () => {
    const numbers = records.map((file) => file.slice(0, 4));
    expect(new Set(numbers).size).toBe(numbers.length);
    const untitled = records.filter((file) => !read(`docs/decisions/${file}`).startsWith("# "));
    expect(untitled).toEqual([]);
    expect(records.filter((file) => !/^\d{4}-[a-z0-9-]+\.md$/.test(file))).toEqual([]);
  });
});

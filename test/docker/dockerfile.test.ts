/**
 * Goal: the image builds and runs as documented, as far as that shows without a container engine.
 * Method: the Dockerfile's instructions are read; at full size those of its build stage run one after another in an empty folder,
 * the final stage is laid out beside it and its command is started.
 */
import { execFileSync, execSync, spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { settingsLeaves } from "../../src/config/schema.ts";
import { copiesOf, stagesOf, theOne } from "./dockerfile.ts";

const stages = stagesOf(readFileSync("Dockerfile", "utf8"));
const [build, final] = [stages[0]!, stages[1]!];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "restante-image-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the Dockerfile", () => {
  test("has a build stage and a final one on the same image", () => {
    expect(stages).toHaveLength(2);
    expect(build.name).toBe("build");
    expect(final.image).toBe(build.image);
  });

  test("copies what exists and what .dockerignore lets through", () => {
    const [everything, ...kept] = readFileSync(".dockerignore", "utf8")
      .split("\n")
      .filter((line) => /^[^#]/.test(line));
    expect(everything).toBe("*");
    const copied = [...copiesOf(build), ...copiesOf(final)]
      .filter(({ from }) => from === undefined)
      .flatMap(({ sources }) => sources);
    expect(copied.filter((source) => !existsSync(source))).toEqual([]);
    const isKept = (source: string) =>
      kept.some((line) => line === `!${source}` || `!${source}`.startsWith(`${line}/`));
    expect(copied.filter((source) => !isKept(source))).toEqual([]);
  });

  test("runs as an ordinary user, on a private volume, in exec form", () => {
    expect(theOne(final, "USER")).toBe("node");
    expect(theOne(final, "VOLUME")).toBe("/data");
    expect(theOne(final, "RUN")).toContain("install -d -o node -g node -m 0700 /data");
    expect(JSON.parse(theOne(final, "ENTRYPOINT"))).toEqual(["restante"]);
    expect(JSON.parse(theOne(final, "CMD"))).toEqual(["start"]);
    expect(theOne(final, "HEALTHCHECK")).toMatch(/ CMD \["restante", "status"\]$/);
    const order = final.instructions.map(({ name }) => name);
    expect(order.indexOf("USER")).toBeGreaterThan(order.lastIndexOf("RUN"));
  });

  test("exposes the default ports and sets keys that exist", () => {
    const leaves = new Map(settingsLeaves().map(({ path, byDefault }) => [path.join("."), byDefault]));
    const ports = ["mqtt", "ws", "http"].map((listener) => String(leaves.get(`${listener}.port`)));
    expect(theOne(final, "EXPOSE").split(" ")).toEqual(ports);
    for (const [, name] of theOne(final, "ENV").matchAll(/RESTANTE_(\w+)=/g)) {
      expect(leaves.has(name!.toLowerCase().replaceAll("__", "."))).toBe(true);
    }
  });
});

describe("the command of EMQX", () => {
  /** Runs the script beside a `restante` that answers with its arguments. */
  const emqx = (...flags: string[]) => {
    writeFileSync(join(folder, "restante"), '#!/bin/sh\necho "restante $*"; exit 3\n');
    chmodSync(join(folder, "restante"), 0o755);
    return spawnSync("sh", [".docker/emqx", ...flags], { env: { PATH: `${folder}:/usr/bin:/bin` }, encoding: "utf8" });
  };

  test("ctl status is restante status, exit code and all", () => {
    expect(emqx("ctl", "status")).toMatchObject({ status: 3, stdout: "restante status\n", stderr: "" });
  });

  test("anything else is refused in one line", () => {
    for (const flags of [[], ["start"], ["ctl", "listeners"]]) {
      const { status, stdout, stderr } = emqx(...flags);
      expect([status, stdout]).toEqual([1, ""]);
      expect(stderr).toMatch(/^emqx: [^\n]+\n$/);
    }
  });
});

// It installs everything anew: a part of the full size, not a test that is skipped in the small one.
const isFull = process.env.RESTANTE_TEST_SIZE === "full";
(isFull ? test : defineNothing)(
  "the build stage runs in an empty folder, and the final stage starts",
  { timeout: 600_000 },
  () => {
    const root = { build: join(folder, "build"), final: join(folder, "final") };
    for (const [stage, workingDirectory] of [
      [build, root.build],
      [final, root.final],
    ] as const) {
      mkdirSync(workingDirectory);
      for (const instruction of stage.instructions) {
        if (instruction.name === "COPY") {
          const [{ from, sources, target }] = copiesOf({ ...stage, instructions: [instruction] }) as [
            ReturnType<typeof copiesOf>[number],
          ];
          if (target.startsWith("/")) continue; // Places of the image, outside its working directory.
          for (const source of sources) {
            const origin = from === undefined ? source : join(root.build, source.replace(/^\/build\//, ""));
            const isInto = target.endsWith("/");
            cpSync(origin, isInto ? join(workingDirectory, target, source) : join(workingDirectory, target), {
              recursive: true,
            });
          }
        } else if (instruction.name === "RUN" && stage === build) {
          execSync(instruction.rest, { cwd: workingDirectory, stdio: "pipe" });
        }
      }
    }
    expect(existsSync(join(root.final, "node_modules", "vitest"))).toBe(false);
    const launcher = resolve(root.final, "dist/cli/launch.cjs");
    const environment = { PATH: process.env.PATH, RESTANTE_DATA_DIR: join(folder, "data") };
    const printed = execFileSync(process.execPath, [launcher, "check-config"], { env: environment, encoding: "utf8" });
    expect(printed).toContain("data_dir:");
  },
);

function defineNothing(_name: string, _options: object, _body: () => void): void {}

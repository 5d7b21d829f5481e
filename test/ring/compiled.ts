/**
 * The ring room as JavaScript in a folder of its own, for worker threads: they load no TypeScript, and must not depend on
 * when the whole was built last.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ts from "typescript";

const SOURCE = join(import.meta.dirname, "../../src");

/** Compiles `src/ring` and what it needs of `src/base`; returns the folder and how to remove it. */
export function compileRing(): { readonly folder: string; readonly remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), "restante-ring-"));
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  symlinkSync(join(SOURCE, "../node_modules"), join(folder, "node_modules")); // koffi, for the pipes of the doorbells.
  for (const [room, names] of [
    ["base", ["assert.ts", "limits.ts", "posix.ts", "region.ts"]],
    ["ring", readdirSync(join(SOURCE, "ring"))],
  ] as const) {
    mkdirSync(join(folder, room));
    for (const name of names) {
      const { outputText } = ts.transpileModule(readFileSync(join(SOURCE, room, name), "utf8"), {
        compilerOptions: {
          target: ts.ScriptTarget.ES2023,
          module: ts.ModuleKind.ESNext,
          verbatimModuleSyntax: true,
          rewriteRelativeImportExtensions: true,
        },
      });
      writeFileSync(join(folder, room, name.replace(/\.ts$/, ".js")), outputText);
    }
  }
  return { folder, remove: () => rmSync(folder, { recursive: true }) };
}

/** The built log for child processes and worker threads, which do not go through the test runner. `npm test` builds first. */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const DIST = new URL("../../dist/", import.meta.url);

/** Writes a script whose imports `./log/…` and so on mean the built rooms; its path. */
export function writeScript(directory: string, name: string, source: string): string {
  if (!existsSync(new URL("log/partition-log.js", DIST))) throw new Error("dist is missing: npm run build first");
  const path = join(directory, name);
  writeFileSync(path, source.replaceAll('from "./', `from "${DIST.href}`));
  return path;
}

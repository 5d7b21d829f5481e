/** What the tests of this room share: settings from a text, variables and flags, and the line of a refusal. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CodedError, type ErrorCode } from "../../src/base/errors.ts";
import { loadSettings, type Settings } from "../../src/config/settings.ts";

export interface Written {
  readonly file?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly flags?: Readonly<Record<string, string>>;
}

/** Runs `use` with a folder of its own, which is gone afterwards. */
export function withFolder<T>(use: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "restante-config-"));
  try {
    return use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The file, if any, is called `restante.yaml` in faults. */
export function load({ file, environment = {}, flags = {} }: Written): Settings {
  return withFolder((workingDirectory) => {
    if (file === undefined) return loadSettings({ flags, environment, workingDirectory });
    writeFileSync(join(workingDirectory, "restante.yaml"), file);
    return loadSettings({ flags: { ...flags, "--config": "restante.yaml" }, environment, workingDirectory });
  });
}

/** The one line with which `action` refuses. */
export function refusal(action: () => unknown, code: ErrorCode = "CONFIG_INVALID"): string {
  try {
    action();
  } catch (error) {
    if (!(error instanceof CodedError) || error.code !== code) throw error;
    if (error.message.includes("\n")) throw new Error(`more than one line: ${error.message}`);
    return error.message;
  }
  throw new Error("it was not refused");
}

/** The same for the loading of settings. */
export function refusalOf(written: Written): string {
  return refusal(() => load(written));
}

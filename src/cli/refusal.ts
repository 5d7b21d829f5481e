/** How the command refuses: one line on standard error, a hint if the error has one, and a non-zero exit. Never a stack. */
import { writeSync } from "node:fs";
import { CodedError } from "../base/errors.ts";

/** sysexits.h: EX_SOFTWARE. A bug, with its stack in the log. */
export const EXIT_BUG = 70;
export const EXIT_REFUSED = 1;

/** Prints the line of an expected failure and answers the exit code; throws every other error on. */
export function refuse(error: unknown): number {
  if (!(error instanceof CodedError)) throw error;
  printRefusal(`${error.message} (${error.code})`);
  return EXIT_REFUSED;
}

/** One line, whatever the text holds. */
export function printRefusal(text: string): void {
  writeSync(STANDARD_ERROR, `restante: ${text.trim().replaceAll(/\s*[\r\n]+\s*/g, " ")}\n`);
}

const STANDARD_ERROR = 2;

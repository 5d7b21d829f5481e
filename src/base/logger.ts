/**
 * The log: JSON lines on standard output, and the one door to pino.
 *
 * ```
 * {"level":"info","time":"2026-01-31T12:00:00.000Z","worker":0,"msg":"ready", …}
 * ```
 * Each line is written before the call returns, from whichever thread calls: nothing is lost when the process ends. A reader
 * that is gone or a full disk under the log costs lines, never the broker.
 */
import { pino } from "pino";

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** `fields` become members of the line; an Error goes under `err`. Secrets are of the type `Secret`, which shows as `***`. */
export interface LogMethod {
  (message: string): void;
  (fields: object, message: string): void;
}

export interface Logger {
  readonly trace: LogMethod;
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
  readonly fatal: LogMethod;
  /** A logger whose lines also carry `bindings`. */
  child(bindings: object): Logger;
  isLevelEnabled(level: LogLevel): boolean;
}

/** `bindings` go into every line. `fd` is for tests. Each thread makes its own: loggers do not cross threads. */
export function createLogger(level: LogLevel, bindings: object = {}, fd = STANDARD_OUTPUT): Logger {
  const destination = pino.destination({ fd, sync: true, minLength: 0, maxLength: UNWRITTEN_BYTES_MAX });
  // What could not be written stays in its buffer, goes with the next line, and is dropped beyond the bound.
  destination.on("error", () => undefined);
  return pino(
    {
      level,
      base: { ...bindings },
      messageKey: "msg",
      errorKey: "err",
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
}

const STANDARD_OUTPUT = 1;
/** Lines that wait while standard output cannot be written. */
const UNWRITTEN_BYTES_MAX = 1024 * 1024;

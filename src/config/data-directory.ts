/**
 * The data directory: private to its owner, and to one broker at a time.
 *
 * ```
 *  DATA_DIR/               0700
 *    broker.lock           0600  flock(2), exclusive, as long as the broker's process lives
 *                                one line of JSON: who holds it, and where it listens
 *    api-key.txt           0600  when no file of keys is configured
 * ```
 * The lock is the truth and the file's content only a description: a file left by `kill -9` holds no lock and stands in nobody's
 * way. The file is never removed, so that no two processes can ever hold locks on two files of that name.
 */
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  type Stats,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { CodedError } from "../base/errors.ts";
import { tryLockExclusive, tryLockShared } from "../base/posix.ts";

/** What the lock file tells about the broker that holds it. */
export interface RunningRecord {
  readonly pid: number;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly ready: boolean;
  /** By name, `{"mqtt": "127.0.0.1:1883"}`; empty until ready. */
  readonly listeners: Readonly<Record<string, string>>;
  readonly workers: number;
}

export interface DataDirectory {
  /** Absolute. */
  readonly path: string;
  /** Replaces what `status` reads. */
  describe(record: RunningRecord): void;
  /** Gives the directory to the next broker. The end of the process does it too. */
  release(): void;
}

/** Makes the directory if needed and takes its lock. Throws DATA_DIR_UNUSABLE or DATA_DIR_IN_USE (with the holder's pid). */
export async function openDataDirectory(path: string): Promise<DataDirectory> {
  makePrivate(path);
  const file = join(path, LOCK_FILE);
  let fd: number;
  try {
    fd = openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  } catch (error) {
    throw unusable(`cannot open ${file}: ${codeOf(error)}`, error);
  }
  try {
    // A `status` that looks at this moment holds the lock for an instant; a broker holds it longer.
    for (let attempt = 1; !tryLock(fd, file); attempt += 1) {
      if (attempt === ATTEMPTS_MAX) throw inUse(path, recordIn(file));
      await new Promise((resolve) => setTimeout(resolve, ATTEMPT_PAUSE_MS));
    }
    ftruncateSync(fd);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return {
    path,
    describe(record) {
      // A reader takes the first line only, so what remains of a longer text before the cut does not matter.
      const bytes = writeSync(fd, `${JSON.stringify(record)}\n`, 0);
      ftruncateSync(fd, bytes);
    },
    release() {
      closeSync(fd);
    },
  };
}

/**
 * Takes the lock of a directory that exists and changes nothing in it. Throws DATA_DIR_IN_USE (with the holder's pid) or
 * DATA_DIR_UNUSABLE.
 */
export function holdDataDirectory(path: string): { release(): void } {
  const file = join(path, LOCK_FILE);
  let fd: number | undefined;
  try {
    statSync(join(path, "."));
    if (existsSync(file)) fd = openSync(file, constants.O_RDONLY); // Without it no broker has ever been there.
  } catch (error) {
    throw unusable(`cannot open the data directory ${path}: ${codeOf(error)}`, error);
  }
  if (fd !== undefined && !tryLock(fd, file)) {
    closeSync(fd);
    throw inUse(path, recordIn(file));
  }
  return {
    release() {
      if (fd !== undefined) closeSync(fd);
    },
  };
}

export type RunningState =
  /** No broker holds the directory, or there is none. */
  | { readonly state: "stopped" }
  /** A broker holds it; `record` is missing during the first instant of a start. */
  | { readonly state: "running"; readonly record: RunningRecord | undefined };

/** Whether a broker runs on this directory. Throws DATA_DIR_UNUSABLE when this user may not look. */
export function readRunning(path: string): RunningState {
  const file = join(path, LOCK_FILE);
  let fd: number;
  try {
    fd = openSync(file, constants.O_RDONLY);
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return { state: "stopped" };
    throw unusable(`cannot open ${file}: ${codeOf(error)}`, error);
  }
  try {
    if (tryLockShared(fd)) return { state: "stopped" };
    return { state: "running", record: recordIn(file) };
  } finally {
    closeSync(fd); // The lock, if taken, ends here.
  }
}

const LOCK_FILE = "broker.lock";
const ATTEMPTS_MAX = 10;
const ATTEMPT_PAUSE_MS = 10;
const PRIVATE_MODE = 0o700;
const OTHERS_MASK = 0o077;

function makePrivate(path: string): void {
  let stats: Stats;
  try {
    mkdirSync(path, { recursive: true, mode: PRIVATE_MODE });
    stats = statSync(path);
  } catch (error) {
    const isFile = codeOf(error) === "EEXIST" || codeOf(error) === "ENOTDIR";
    throw unusable(`cannot make the data directory ${path}: ${isFile ? "a file is in the way" : codeOf(error)}`, error);
  }
  if ((stats.mode & OTHERS_MASK) === 0) return;
  const mode = (stats.mode & 0o777).toString(8).padStart(4, "0");
  const user = process.geteuid?.();
  if (user !== 0 && stats.uid !== user) {
    throw unusable(
      `the data directory ${path} is open to other users (mode ${mode}) and belongs to user ${stats.uid}, not to user ${user} who starts the broker; change its owner, or use a new directory below it`,
    );
  }
  try {
    chmodSync(path, PRIVATE_MODE);
  } catch (error) {
    throw unusable(`cannot make the data directory ${path} private (mode ${mode}): ${codeOf(error)}`, error);
  }
}

function tryLock(fd: number, file: string): boolean {
  try {
    return tryLockExclusive(fd);
  } catch (error) {
    throw unusable(`cannot lock ${file}: ${codeOf(error)}`, error);
  }
}

/** Undefined while the holder has not written it yet. */
function recordIn(file: string): RunningRecord | undefined {
  try {
    const [line] = readFileSync(file, "utf8").split("\n", 1);
    const record: unknown = JSON.parse(line!);
    return isRecord(record) ? record : undefined;
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is RunningRecord {
  if (typeof value !== "object" || value === null) return false;
  const { pid, ready, listeners } = value as Partial<RunningRecord>;
  return typeof pid === "number" && typeof ready === "boolean" && typeof listeners === "object" && listeners !== null;
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}

function inUse(path: string, record: RunningRecord | undefined): CodedError {
  // `fsck` holds the lock without a word in the file: then that is about a broker that has ended.
  const isHolder = record !== undefined && isAlive(record.pid);
  const holder = isHolder ? `the broker with process id ${record.pid}` : "another process";
  return new CodedError("DATA_DIR_IN_USE", `the data directory ${path} is in use by ${holder}`);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return codeOf(error) === "EPERM"; // Somebody else's.
  }
}

function unusable(line: string, cause?: unknown): CodedError {
  return new CodedError("DATA_DIR_UNUSABLE", line, cause);
}

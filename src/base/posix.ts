/**
 * The few POSIX calls that Node does not offer, and the one door to koffi. They run on the calling thread and do not block,
 * but for the last one, which runs in libuv's pool.
 *
 * | here | call |
 * |---|---|
 * | duplicateDescriptor | fcntl(fd, F_DUPFD_CLOEXEC, 0) |
 * | closeDescriptor | close(fd) |
 * | tryPeek, tryReceive | recv(fd, bytes, length, MSG_DONTWAIT, with MSG_PEEK) |
 * | openPipe | pipe2(fds, O_CLOEXEC or O_NONBLOCK); pipe(fds) where there is no pipe2 |
 * | newSocketPair | socketpair(AF_UNIX, SOCK_STREAM, 0, fds), closed on exec |
 * | tryLockExclusive, tryLockShared | flock(fd, LOCK_EX or LOCK_SH, LOCK_NB) |
 * | tryAllocate | fallocate(fd, FALLOC_FL_KEEP_SIZE, offset, length); Linux only |
 * | returnFreeMemory | malloc_trim(0); glibc only |
 */
import { constants as fsConstants } from "node:fs";
import { constants } from "node:os";
import { getSystemErrorName } from "node:util";
import koffi from "koffi";

/** A POSIX call that failed. `code` is the name of its errno (`"EBADF"`), as in Node's own system errors. */
export class PosixFault extends Error {
  override readonly name = "PosixFault";
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;

  constructor(syscall: string, errno: number) {
    const code = errnoName(errno);
    super(`${syscall}: ${code}`);
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
  }
}

/**
 * A second descriptor of the same open file or socket, closed on exec like those that Node opens.
 * The caller owns it and closes it, or gives it to an object that will. Throws PosixFault (`EBADF`, `EMFILE`).
 */
export function duplicateDescriptor(fd: number): number {
  const duplicate: number = duplicateFrom(fd, F_DUPFD_CLOEXEC, 0);
  if (duplicate < 0) throw new PosixFault("fcntl", koffi.errno());
  return duplicate;
}

/** Closes a descriptor that no Node object owns. Throws PosixFault (`EBADF`). */
export function closeDescriptor(fd: number): void {
  if (close(fd) === 0) return;
  const errno = koffi.errno();
  if (errno === constants.errno.EINTR) return; // It is closed all the same; a second close could hit a reused number.
  throw new PosixFault("close", errno);
}

/** Copies what a socket has received to the beginning of `into` and leaves it there; how many bytes, 0 or less when there are none. */
export function tryPeek(fd: number, into: Uint8Array): number {
  return receive(fd, into, into.length, MSG_DONTWAIT | MSG_PEEK);
}

/** Takes what a socket has received; how many bytes, 0 or less when there are none. */
export function tryReceive(fd: number, into: Uint8Array): number {
  return receive(fd, into, into.length, MSG_DONTWAIT);
}

export interface Pipe {
  readonly readFd: number;
  readonly writeFd: number;
}

/** A pipe within this process, neither end of which blocks. The caller owns both ends. Throws PosixFault (`EMFILE`). */
export function openPipe(): Pipe {
  const fds = [-1, -1];
  const result = process.platform === "darwin" ? pipe(fds) : pipe(fds, O_CLOEXEC | O_NONBLOCK);
  if (result !== 0) throw new PosixFault("pipe2", koffi.errno());
  return { readFd: fds[0]!, writeFd: fds[1]! };
}

/**
 * Two connected stream sockets of this machine: what is written into one is read from the other. The caller owns both. Throws PosixFault
 * (`EMFILE`, `ENFILE`).
 */
export function newSocketPair(): readonly [number, number] {
  const pair = new Int32Array(2);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) !== 0) throw new PosixFault("socketpair", koffi.errno());
  const [one, other] = pair as unknown as [number, number];
  if (SOCK_CLOEXEC === 0) for (const fd of [one, other]) fcntl(fd, F_SETFD, "int", FD_CLOEXEC);
  return [one, other];
}

/**
 * Takes the whole-file lock of this open file without waiting; false when another open file holds it. The lock ends when
 * the last descriptor of this open file is closed, at the latest with the process, however it ends. Throws PosixFault.
 */
export function tryLockExclusive(fd: number): boolean {
  return tryLock(fd, LOCK_EX);
}

/** Like `tryLockExclusive`, but shared with other shared holders: false only while an exclusive holder lives. */
export function tryLockShared(fd: number): boolean {
  return tryLock(fd, LOCK_SH);
}

/**
 * Allocates the blocks of a range of a file, without changing its size: writes into it cannot meet a full disk any more. Blocks
 * that are there already stay as they are. "unsupported": this system or file system cannot do it.
 * Throws PosixFault (`EBADF`, `EIO`, …).
 */
export function tryAllocate(fd: number, offset: number, bytes: number): "allocated" | "full" | "unsupported" {
  if (fallocate === undefined) return "unsupported";
  for (;;) {
    if (fallocate(fd, FALLOC_FL_KEEP_SIZE, offset, bytes) === 0) return "allocated";
    const errno = koffi.errno();
    if (FULL.includes(errno)) return "full";
    if (UNSUPPORTED.includes(errno)) return "unsupported";
    if (errno !== constants.errno.EINTR) throw new PosixFault("fallocate", errno);
  }
}

/**
 * Gives the kernel the pages that this process has freed and its allocator keeps, those of all threads. Takes milliseconds in the
 * pool; a thread that allocates meanwhile may wait for a part of it. Does nothing where the C library is not glibc.
 */
export function returnFreeMemory(): Promise<void> {
  if (mallocTrim === undefined) return Promise.resolve();
  return new Promise((resolve) => mallocTrim.async(0, () => resolve()));
}

function tryLock(fd: number, mode: number): boolean {
  if (flock(fd, mode | LOCK_NB) === 0) return true;
  const errno = koffi.errno();
  if (errno === constants.errno.EWOULDBLOCK) return false;
  throw new PosixFault("flock", errno);
}

function errnoName(errno: number): string {
  return errno > 0 ? getSystemErrorName(-errno) : `errno ${errno}`;
}

const MSG_PEEK = 2;
const MSG_DONTWAIT = process.platform === "darwin" ? 0x80 : 0x40;
const AF_UNIX = 1;
const SOCK_STREAM = 1;
/** <sys/socket.h> of Linux; the BSDs' descendants need a second call. */
const SOCK_CLOEXEC = process.platform === "linux" ? 0o2000000 : 0;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const FALLOC_FL_KEEP_SIZE = 1;
const FULL: readonly number[] = [constants.errno.ENOSPC, constants.errno.EDQUOT, constants.errno.EFBIG];
const UNSUPPORTED: readonly number[] = [constants.errno.EOPNOTSUPP, constants.errno.ENOSYS, constants.errno.ENODEV];
/** <fcntl.h>: the number differs between Linux and the BSDs' descendants. */
const F_DUPFD_CLOEXEC = process.platform === "darwin" ? 67 : 1030;

const { O_NONBLOCK } = fsConstants;
/** <fcntl.h>; Node does not name it. */
const O_CLOEXEC = 0o2000000;

const processLibrary = koffi.load(null);
const pipe =
  process.platform === "darwin" // A byte into a pipe that has room does not block there either.
    ? processLibrary.func("int pipe(_Out_ int *fds)")
    : processLibrary.func("int pipe2(_Out_ int *fds, int flags)");
const fcntl = processLibrary.func("int fcntl(int fd, int command, ...)");
/** Where a whole number is passed in the same way with `...` and without it: a call with a fixed signature takes a tenth of the time. */
const duplicateFrom: (fd: number, command: number, from: number) => number =
  process.platform === "darwin"
    ? (fd, command, from) => fcntl(fd, command, "int", from)
    : processLibrary.func("int fcntl(int fd, int command, int from)");
const receive = processLibrary.func("intptr_t recv(int fd, void *bytes, size_t length, int flags)");
const close = processLibrary.func("int close(int fd)");
const socketpair = processLibrary.func("int socketpair(int domain, int type, int protocol, _Out_ int *fds)");
const flock = processLibrary.func("int flock(int fd, int operation)");
const fallocate =
  process.platform === "linux"
    ? processLibrary.func("int fallocate(int fd, int mode, int64_t offset, int64_t bytes)")
    : undefined;
const mallocTrim = findMallocTrim();

/** Other C libraries do not have it. */
function findMallocTrim(): ReturnType<typeof processLibrary.func> | undefined {
  try {
    return processLibrary.func("int malloc_trim(size_t pad)");
  } catch {
    return undefined;
  }
}

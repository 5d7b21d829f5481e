/** What a worker is made with. */
import type { Authenticator } from "../access/authentication.ts";
import type { Rules } from "../access/rules.ts";
import type { SessionLimits } from "../session/ports.ts";
import type { WantedQueue } from "./commands.ts";
import type { SentCounts } from "./counts.ts";
import type { OpenLog } from "./partition.ts";
import type { Notice } from "./partition-notices.ts";
import type { PartnerHandler } from "./partner.ts";
import type { RingPartner } from "./ring-partner.ts";
import type { EventLoop } from "./turns.ts";

export interface WorkerOptions {
  readonly worker: number;
  readonly workers: number;
  readonly partitions: number;
  readonly dataDirectory: string;
  readonly limits: SessionLimits;
  readonly authenticator: Authenticator;
  /** Who may publish and subscribe to what; undefined: everybody to everything. */
  readonly rules?: Rules | undefined;
  /** Makes the partner of another worker. */
  readonly connect: (other: number, handler: PartnerHandler) => RingPartner;
  /** Credit of this worker's consumers at other workers' queues, by queue's worker; and of others' consumers here. */
  readonly creditOut: readonly ArrayBufferLike[];
  readonly creditIn: readonly ArrayBufferLike[];
  readonly nowMs: () => number;
  readonly random: () => number;
  /** Node's own unless given (simulation). */
  readonly loop?: EventLoop;
  /** LMDB unless given (simulation). */
  readonly openLog?: OpenLog;
  /** Sends what connections have reserved. */
  readonly flushOutput: () => void;
  /** What connections have sent; nothing, without a transport. */
  readonly sent?: SentCounts;
  /** Asks control for a queue that a subscription wants; `wanted.onAnswer` hears what came of it. */
  readonly ask: (queue: WantedQueue) => void;
  /** For the log of the process: what is wrong, and what is worth knowing. */
  readonly onFault: Notice;
  readonly onNotice: Notice;
}

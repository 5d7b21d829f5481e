/** What the sessions of a worker are kept with. */
import type { TimerWheel } from "../base/timer-wheel.ts";
import type { FilterIndex } from "../router/filter-index.ts";
import type { SessionAccess, SessionLimits } from "../session/ports.ts";
import type { Session } from "../session/session.ts";
import type { Subscription } from "../session/subscription.ts";
import type { Attachments } from "./attachments.ts";
import type { Origins } from "./origins.ts";
import type { Partition } from "./partition.ts";
import type { Partner } from "./partner.ts";
import type { Publishing, RoutedQueue } from "./publishing.ts";
import type { RetainedMessages } from "./retained-messages.ts";
import type { RouteAnnouncer } from "./route-announcer.ts";
import type { ShareMembers } from "./share-members.ts";
import type { WantedQueues } from "./wanted-queues.ts";

export interface SessionDeskParts {
  readonly worker: number;
  readonly limits: SessionLimits;
  readonly access: SessionAccess;
  readonly partitionCount: number;
  readonly partitions: ReadonlyMap<number, Partition>;
  readonly partners: readonly Partner[];
  readonly index: FilterIndex<Subscription, RoutedQueue>;
  readonly announcer: RouteAnnouncer;
  readonly attachments: Attachments;
  readonly members: ShareMembers;
  readonly wanted: WantedQueues;
  readonly origins: Origins;
  readonly retained: RetainedMessages;
  readonly publishing: Publishing;
  readonly wheel: TimerWheel;
  readonly nowMs: () => number;
  readonly random: () => number;
  readonly wake: () => void;
  readonly pumpSoon: (session: Session) => void;
}

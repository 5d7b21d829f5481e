/** What a worker does with the rare frames of another, whose bodies are structured values; see frame/kinds.ts. */
import {
  ADOPTED,
  type AdoptedBody,
  ATTACH,
  type AttachBody,
  DETACH,
  type DetachBody,
  FORGOTTEN,
  type ForgottenBody,
  JOIN,
  JOINED,
  type JoinBody,
  type JoinedBody,
  LEAVE,
  type LeaveBody,
  RECALL,
  RECALLED,
  RELEASE,
  type RecallBody,
  type RecalledBody,
  type ReleaseBody,
  ROUTE,
  ROUTED,
  type RouteBody,
  type RoutedBody,
} from "../frame/kinds.ts";
import type { FilterIndex } from "../router/filter-index.ts";
import type { Subscription } from "../session/subscription.ts";
import type { Partner } from "./partner.ts";
import type { Publishing, RoutedQueue } from "./publishing.ts";
import type { QueueOwner } from "./queue-owner.ts";
import type { RetainedMessages } from "./retained-messages.ts";
import type { RouteAnnouncer } from "./route-announcer.ts";
import type { ShareGroups } from "./share-groups.ts";
import type { ShareMembers } from "./share-members.ts";

export interface ControlFramesParts {
  readonly partners: readonly Partner[];
  readonly index: FilterIndex<Subscription, RoutedQueue>;
  readonly announcer: RouteAnnouncer;
  readonly owner: QueueOwner;
  readonly publishing: Publishing;
  readonly retained: RetainedMessages;
  readonly shares: ShareGroups;
  readonly members: ShareMembers;
}

export class ControlFrames {
  readonly #parts: ControlFramesParts;

  constructor(parts: ControlFramesParts) {
    this.#parts = parts;
  }

  take(from: number, kind: number, body: object): void {
    const { partners, index, announcer, owner, publishing, retained, shares, members } = this.#parts;
    switch (kind) {
      case ATTACH:
        owner.onAttach(from, body as AttachBody);
        break;
      case DETACH:
        owner.onDetach(from, body as DetachBody);
        break;
      case ROUTE: {
        const { filter, state, token } = body as RouteBody;
        index.setRemote(filter, from, state);
        partners[from]!.control(ROUTED, { token, published: retained.numbers.published } satisfies RoutedBody);
        break;
      }
      case ROUTED: {
        const { token, published } = body as RoutedBody;
        retained.numbers.onTold(from, published);
        announcer.onRouted(token);
        break;
      }
      case JOIN: {
        const { token, ...member } = body as JoinBody;
        const answer: JoinedBody = { token };
        shares.join(member, members.partitionOf(member.filter), () => partners[from]!.control(JOINED, answer));
        break;
      }
      case JOINED:
        members.onJoined((body as JoinedBody).token);
        break;
      case LEAVE:
        shares.leave(body as LeaveBody);
        break;
      case ADOPTED: {
        const { partition, token } = body as AdoptedBody;
        const answer: ForgottenBody = { token };
        shares.whenForgotten(partition, () => partners[from]!.control(FORGOTTEN, answer));
        break;
      }
      case FORGOTTEN:
        members.adoption.onForgotten((body as ForgottenBody).token);
        break;
      case RECALL:
        retained.onRecall(from, body as RecallBody);
        break;
      case RECALLED:
        retained.onRecalled(from, body as RecalledBody);
        break;
      case RELEASE: {
        const { origin, sequence, clientId, packetId } = body as ReleaseBody;
        publishing.release(from, origin, sequence, clientId, packetId);
        break;
      }
    }
  }
}

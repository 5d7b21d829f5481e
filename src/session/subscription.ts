/**
 * One subscription of one session, as the router keeps it: an ordinary filter, or a queue.
 */
import type { Standing } from "../access/authorization.ts";
import type { Attachment } from "./attachment.ts";
import type { Crossing } from "./crossing.ts";
import { FIRST_PLACE, type Place } from "./identifiers.ts";
import type { Session } from "./session.ts";

export interface SubscriptionOptions {
  readonly qos: 0 | 1 | 2;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly retainHandling: 0 | 1 | 2;
  /** 0 = none. */
  readonly identifier: number;
}

export class Subscription {
  readonly session: Session;
  readonly filter: string;
  options: SubscriptionOptions;
  /** Present for a subscription to a queue. */
  attachment: Attachment | undefined = undefined;
  /** What the rules let it have; undefined until that is asked. */
  standing: Standing | undefined;
  /** From where on what waits was matched with its identifier. */
  since: Place = FIRST_PLACE;
  /** While it is being given what is retained: one for each time that it was asked for, also by what it has taken the place of. */
  crossings: Crossing[] | undefined = undefined;
  /** What took its place [MQTT-3.8.4-3]. */
  successor: Subscription | undefined = undefined;

  /** Itself, or what stands in its place now; undefined when it was deleted. */
  get current(): Subscription | undefined {
    let newest: Subscription = this;
    while (newest.successor !== undefined) newest = newest.successor;
    if (newest !== this) this.successor = newest; // So that the way is not gone twice.
    return this.session.subscriptions.get(this.filter) === newest ? newest : undefined;
  }

  /** Its identifier, in the form deliveries take; undefined = none. */
  get identifiers(): readonly number[] | undefined {
    return this.#identifiers;
  }

  #identifiers: readonly number[] | undefined;

  constructor(session: Session, filter: string, options: SubscriptionOptions) {
    this.session = session;
    this.filter = filter;
    this.options = options;
    this.standing = session.rights === undefined ? "open" : undefined;
    this.#identifiers = options.identifier === 0 ? undefined : [options.identifier];
  }
}

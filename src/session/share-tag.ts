/**
 * Which shared subscription a delivery came by, in the bits 4 to 15 of its flags: a hash of the filter, for a session may have several that match one topic,
 * each with an identifier of its own [MQTT-3.3.4-5]. It lies in the store with the flags; 0, from before there were tags, fits every subscription.
 */
import { hashBytes } from "../base/hash.ts";
import { DELIVERY_SHARED } from "./inbox.ts";
import type { Session } from "./session.ts";

const TAG_BITS = 4;
const TAGS = 4_095;

/** The flags that say so, for deliveries by this filter. */
export function sharedFlagsOf(filter: string): number {
  const bytes = Buffer.from(filter);
  return DELIVERY_SHARED | ((1 + (hashBytes(bytes, 0, bytes.length) % TAGS)) << TAG_BITS);
}

/** A delivery with these flags is finished, or given up: if it came by a shared subscription, the member has room for another. */
export function endDelivery({ attachments, host }: Session, flags: number): void {
  if ((flags & DELIVERY_SHARED) === 0) return;
  for (const attachment of attachments) {
    if (attachment.adopted === 0 || !cameBy(flags, attachment.sharedFlags)) continue;
    host.giveRoom(attachment);
    return;
  }
}

/** Whether a delivery with these flags came by the shared subscription of `sharedFlags`. Of 4,095 others one may be taken for it. */
export const cameBy = (flags: number, sharedFlags: number): boolean =>
  flags >>> TAG_BITS === 0 || flags >>> TAG_BITS === sharedFlags >>> TAG_BITS;

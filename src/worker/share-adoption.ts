/**
 * A QoS 2 message of a shared subscription for a member whose session outlives its connection: it becomes the session's own, on disk,
 * before it is sent, so that its delivery is completed with this client and no other [MQTT-4.8.2-4].
 *
 * ```
 *   DELIVER ─► a record of the session ─on disk─► its inbox, SETTLE      the member has left meanwhile ─► the record goes, others have it
 * ```
 */
import { SHARED_RETRY_MS } from "../base/limits.ts";
import type { Region } from "../base/region.ts";
import { expiresAtMsOf, totalBytes } from "../frame/message.ts";
import { NO_ROOM } from "../log/contract.ts";
import type { Attachment } from "../session/attachment.ts";
import { deliverStored, pump } from "../session/deliver.ts";
import { DELIVERY_RETAIN, DELIVERY_SHARED } from "../session/inbox.ts";
import type { Attachments } from "./attachments.ts";
import type { Partition } from "./partition.ts";

/** See SessionHost.tryAdopt. `home`: the session's partition. */
export function tryAdopt(
  home: Partition,
  attachments: Attachments,
  attachment: Attachment,
  position: number,
  message: Region,
  offset: number,
  isRetain: boolean,
): boolean {
  const { session } = attachment.subscription;
  const { log, company } = home;
  const bytes = totalBytes(message, offset);
  const flags = 2 | DELIVERY_SHARED | (isRetain ? DELIVERY_RETAIN : 0);
  const staged = home.hasRoom(bytes, 1) ? log.stage(message, offset, bytes) : NO_ROOM;
  const expiresAtMs = staged === NO_ROOM ? 0 : expiresAtMsOf(message, offset);
  const record = staged === NO_ROOM ? NO_ROOM : log.add(session.target, staged, flags, expiresAtMs, 0, 0);
  if (record === NO_ROOM) {
    session.host.after(SHARED_RETRY_MS, () => pump(session));
    return false;
  }
  attachment.unsettled += 1;
  const { generation, slot } = attachment;
  company.afterCommit((outcome) => {
    const isHolder = attachment.slot === slot && attachment.generation === generation;
    if (outcome === "failed") {
      if (isHolder) attachments.settle(attachment, position, false, true);
    } else if (isHolder && session.isDurable) {
      deliverStored(session, record, bytes, flags);
      attachments.settle(attachment, position, true, true);
      pump(session);
    } else {
      log.settle(record);
    }
  });
  session.host.wake();
  return true;
}

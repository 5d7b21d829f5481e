/** Forgetting a QoS 2 identifier in every partition of every worker. */
import { RELEASE, type ReleaseBody } from "../frame/kinds.ts";
import { ReasonCode } from "../mqtt/reason-codes.ts";
import type { CommitOutcome } from "./batch-company.ts";
import type { Origins } from "./origins.ts";
import type { Partner } from "./partner.ts";
import type { Publishing } from "./publishing.ts";

export interface InboundReleasesParts {
  readonly worker: number;
  readonly partners: readonly Partner[];
  readonly origins: Origins;
  readonly publishing: Publishing;
}

export class InboundReleases {
  readonly #parts: InboundReleasesParts;

  constructor(parts: InboundReleasesParts) {
    this.#parts = parts;
  }

  /**
   * `tried`: "stored" when no partition has the identifier on disk. "failed" when some partition may have it: it removes it with
   * its next batch, and who releases it again waits for that.
   */
  release(clientId: string, packetId: number, tried: (outcome: CommitOutcome) => void): void {
    const { origins, partners, worker, publishing } = this.#parts;
    let pending = 1;
    let outcome: CommitOutcome = "stored";
    const origin = origins.open({
      expect: () => {
        pending += 1;
      },
      resolve: (_sequence, reasonCode) => {
        if (reasonCode >= 0x80) outcome = "failed";
        pending -= 1;
        if (pending > 0) return;
        origins.close(origin);
        tried(outcome);
      },
    });
    publishing.release(worker, origin, 0, clientId, packetId);
    const body: ReleaseBody = { origin, sequence: 0, clientId, packetId };
    for (const partner of partners) {
      if (partner.worker === worker) continue;
      pending += 1;
      partner.control(RELEASE, body);
    }
    origins.find(origin)?.resolve(0, ReasonCode.success);
  }

  /** Until no partition has it on disk; `tried` with each try. */
  releaseForCertain(clientId: string, packetId: number, tried: (outcome: CommitOutcome) => void): void {
    this.release(clientId, packetId, (outcome) => {
      if (outcome === "failed") this.releaseForCertain(clientId, packetId, tried);
      tried(outcome);
    });
  }
}

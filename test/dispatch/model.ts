/**
 * A plain model of one queue: a list of messages, each with its state, and the rules applied one by one, slowly. It does
 * not choose consumers; it judges what the real queue does.
 *
 * Everything that is durable with a batch carries that batch's number, so that a crash is: forget what is newer.
 */
export type Reason = "acknowledged" | "expired" | "superseded" | "dropped" | "purged";

export interface ModelMessage {
  readonly id: number;
  /** Where it stands; after a crash where its record lies. */
  position: number;
  /** Of a memory queue's message whose commit failed: its new record. */
  recordPosition: number | undefined;
  /** The batch that brings it to the disk; infinite while a memory queue keeps it without a record. */
  batch: number;
  /** The batch whose ledger counts it. */
  storedBatch: number;
  readonly acceptedBatch: number;
  readonly key: string | undefined;
  readonly bytes: number;
  readonly expiresAtMs: number;
  state: "waiting" | "inFlight" | "leaving" | "done";
  reason: Reason | undefined;
  /** The batch that settles it; of one that is overwritten, too. */
  doneBatch: number;
  /** The batch whose ledger knows the reason; later than `doneBatch` for one that was overwritten before. */
  reasonBatch: number;
  holder: number | undefined;
  attempts: number;
  isOverwritten: boolean;
  rejecter: number | undefined;
  heldUntilMs: number | undefined;
  /** Of one that is leaving. */
  leavesFor: ModelMessage | undefined;
  leavesAs: "superseded" | "dropped" | undefined;
}

interface Pair {
  readonly old: ModelMessage;
  readonly successor: ModelMessage;
  readonly reason: "superseded" | "dropped";
  /** The successor was gone when a commit failed: the old one is its key's newest again, until the successor's batch ends. */
  isVoid: boolean;
}

export interface ModelSettings {
  readonly isLastValue: boolean;
  /** Nobody waits for the disk: what a failed commit held stays, and is written again. */
  readonly isMemory: boolean;
  overflow: "drop_oldest" | "drop_newest" | "reject";
  maxCount: number;
  maxBytes: number;
  readonly redispatchMs: number;
}

export class Model {
  readonly settings: ModelSettings;
  messages: ModelMessage[] = [];
  #pairs: Pair[] = [];
  /** Messages that never had a record, with the batch whose ledger counts them. */
  #dropsOfNewest: { batch: number }[] = [];
  #refusals: { batch: number }[] = [];
  gathering = 1;
  committed = 0;

  constructor(settings: ModelSettings) {
    this.settings = settings;
  }

  live(): ModelMessage[] {
    return this.messages.filter((message) => message.state === "waiting" || message.state === "inFlight");
  }

  waiting(): ModelMessage[] {
    return this.messages.filter((message) => message.state === "waiting");
  }

  /** What may be handed out to somebody. */
  available(nowMs: number): ModelMessage[] {
    return this.waiting().filter((message) => this.#isOut(message) && message.expiresAtMs > nowMs);
  }

  accept(
    incoming: { id: number; position: number; key: string | undefined; bytes: number; expiresAtMs: number },
    nowMs: number,
  ): "accepted" | "dropped" | "refusedLimit" | "refusedKey" {
    const { isLastValue, overflow, maxBytes } = this.settings;
    if (isLastValue && incoming.key === undefined) return this.refuse("refusedKey");
    const elder = (): ModelMessage | undefined =>
      isLastValue
        ? this.live()
            .filter((message) => message.key === incoming.key && !this.#isReplaced(message))
            .at(-1)
        : undefined;
    const isOver = (): boolean => {
      const replaced = elder();
      const rest = this.live().filter((message) => message !== replaced || message.state === "inFlight");
      return this.#exceeds([...rest, incoming]);
    };
    let over = isOver();
    if (over) {
      this.expire(nowMs);
      over = isOver();
    }
    if (over) {
      if (overflow === "reject" || incoming.bytes > maxBytes) return this.refuse("refusedLimit");
      const inFlight = this.messages.filter((message) => message.state === "inFlight");
      if (overflow === "drop_newest" || this.#exceeds([...inFlight, incoming])) {
        this.#dropsOfNewest.push({ batch: this.gathering });
        return "dropped";
      }
    }
    const message: ModelMessage = {
      ...incoming,
      batch: this.gathering,
      storedBatch: this.gathering,
      acceptedBatch: this.gathering,
      recordPosition: undefined,
      state: "waiting",
      reason: undefined,
      doneBatch: 0,
      reasonBatch: 0,
      holder: undefined,
      attempts: 0,
      isOverwritten: false,
      rejecter: undefined,
      heldUntilMs: undefined,
      leavesFor: undefined,
      leavesAs: undefined,
    };
    const old = elder();
    if (old !== undefined) this.#leave(old, message, "superseded");
    while (over && this.#exceeds([...this.live(), message])) this.#leave(this.waiting()[0]!, message, "dropped");
    this.messages.push(message);
    return "accepted";
  }

  commit(batch: number): void {
    this.committed = batch;
    this.#depart(batch);
  }

  /** What left for messages up to this batch goes. */
  #depart(batch: number): void {
    this.#end(this.#pairs.filter((pair) => pair.successor.acceptedBatch <= batch));
  }

  #end(due: readonly Pair[]): void {
    this.#pairs = this.#pairs.filter((pair) => !due.includes(pair));
    for (const { old, reason } of due) {
      if (old.state === "inFlight") {
        if (!old.isOverwritten) old.doneBatch = this.gathering;
        old.isOverwritten = true;
      } else if (old.state !== "done") this.finish(old, old.state === "leaving" ? old.leavesAs! : reason);
    }
  }

  fail(batch: number): void {
    if (this.settings.isMemory) {
      this.#keep(batch);
      this.#depart(batch);
    }
    const hasGone = ({ state, reason }: ModelMessage): boolean =>
      state === "done" && (reason !== "expired" || this.settings.isMemory);
    const failed = (message: ModelMessage): boolean => message.batch === batch && !hasGone(message);
    const broken = this.#pairs.filter((pair) => pair.successor.batch === batch || pair.old.batch === batch);
    this.#pairs = this.#pairs.filter((pair) => !broken.includes(pair));
    for (const { old, successor } of broken) {
      const isBroken = old.leavesFor === successor || old.batch === batch;
      if (old.state !== "leaving" || !isBroken) continue;
      old.state = "waiting";
      old.heldUntilMs = undefined; // It is anybody's again, its rejecter's too.
      old.rejecter = undefined;
    }
    this.messages = this.messages.filter((message) => !failed(message));
    for (const entry of [...this.#dropsOfNewest, ...this.#refusals]) if (entry.batch === batch) entry.batch += 1;
    for (const message of this.messages) {
      if (message.doneBatch === batch) message.doneBatch += 1;
      if (message.reasonBatch === batch) message.reasonBatch += 1;
    }
    const restored = new Set(broken.map(({ old }) => old));
    for (const pair of this.#pairs) pair.isVoid ||= pair.successor.state === "done" && restored.has(pair.old);
    this.#noteAgain(restored);
    this.#enforceLimits();
  }

  /** The process is gone; `durable` is the newest batch on disk, `gathering` the one that gathers after the start. */
  crash(durable: number, gathering: number, nowMs: number): void {
    this.committed = durable;
    this.gathering = gathering;
    this.#pairs = [];
    this.#dropsOfNewest = this.#dropsOfNewest.filter((entry) => entry.batch <= durable);
    this.#refusals = this.#refusals.filter((entry) => entry.batch <= durable);
    this.messages = this.messages.filter((message) => message.storedBatch <= durable);
    for (const message of this.messages) {
      const isSettled = message.doneBatch !== 0 && message.doneBatch <= durable;
      const isReasonKnown = message.reasonBatch !== 0 && message.reasonBatch <= durable;
      if (isSettled && !isReasonKnown) message.reason = "superseded"; // Overwritten, and what came after is not on disk.
      const isLost = !isSettled && message.batch > durable; // Kept in memory only.
      if (isLost) message.reason = "dropped";
      message.state = isSettled || isLost ? "done" : "waiting";
      if (isLost) {
        message.doneBatch = durable;
        message.reasonBatch = durable;
      }
      if (isSettled || isLost) continue;
      message.position = message.recordPosition ?? message.position;
      message.recordPosition = undefined;
      message.doneBatch = 0;
      message.reasonBatch = 0;
      message.reason = undefined;
      message.attempts = 0;
      message.isOverwritten = false;
      message.holder = undefined;
      message.rejecter = undefined;
      message.heldUntilMs = undefined;
    }
    this.messages.sort((one, other) => one.position - other.position);
    this.#supersedeAgain();
    this.commit(durable);
    this.#enforceLimits();
    this.expire(nowMs);
  }

  settle(message: ModelMessage, isAccepted: boolean, nowMs: number): void {
    if (isAccepted) this.finish(message, "acknowledged");
    else if (this.#isOutdated(message)) this.finish(message, "superseded");
    else {
      message.state = "waiting";
      message.rejecter = message.holder;
      message.heldUntilMs = nowMs + this.settings.redispatchMs;
      message.holder = undefined;
    }
    this.#enforceLimits();
  }

  giveBack(holder: number): void {
    for (const message of this.messages) {
      if (message.rejecter === holder) message.rejecter = undefined;
      if (message.state !== "inFlight" || message.holder !== holder) continue;
      message.holder = undefined;
      if (this.#isOutdated(message)) this.finish(message, "superseded");
      else message.state = "waiting";
    }
    this.#enforceLimits();
  }

  purge(): number {
    const purged = this.waiting().filter((message) => this.#isOut(message));
    for (const message of purged) this.finish(message, "purged");
    return purged.length;
  }

  expire(nowMs: number): void {
    for (const message of this.waiting()) if (message.expiresAtMs <= nowMs) this.finish(message, "expired");
  }

  limit(maxCount: number, maxBytes: number): void {
    this.settings.maxCount = maxCount;
    this.settings.maxBytes = maxBytes;
    this.#enforceLimits();
  }

  finish(message: ModelMessage, reason: Reason): void {
    if (message.doneBatch === 0) message.doneBatch = this.gathering;
    message.reasonBatch = this.gathering;
    message.state = "done";
    message.reason = reason;
    message.holder = undefined;
    // Also one that is not on disk: what left for it, or for one before it, does not outlive it.
    if (this.settings.isMemory) this.#end(this.#pairs.filter((pair) => pair.successor.position <= message.position));
  }

  counts(): Record<string, number> {
    const by = (reason: Reason): number =>
      this.messages.filter((message) => message.state === "done" && message.reason === reason).length;
    const leaving = (reason: string): number =>
      this.messages.filter((message) => message.state === "leaving" && message.leavesAs === reason).length;
    return {
      stored: this.messages.length + this.#dropsOfNewest.length,
      waiting: this.waiting().length,
      in_flight: this.messages.filter((message) => message.state === "inFlight").length,
      acknowledged: by("acknowledged"),
      expired: by("expired"),
      superseded: by("superseded") + leaving("superseded"),
      dropped: by("dropped") + leaving("dropped") + this.#dropsOfNewest.length,
      dead_lettered: 0,
      purged: by("purged"),
      refused: this.#refusals.length,
      difference: 0,
      waiting_bytes: this.waiting().reduce((sum, message) => sum + message.bytes, 0),
    };
  }

  refuse<T>(outcome: T): T {
    this.#refusals.push({ batch: this.gathering });
    return outcome;
  }

  /** What a memory queue keeps and has to write again: of a key only the newest, and nothing that a later batch's end takes. */
  unwritten(): ModelMessage[] {
    const isLeaving = (message: ModelMessage): boolean => this.#pairs.some(({ old }) => old === message);
    const isNewest = (message: ModelMessage): boolean => !this.settings.isLastValue || !this.#isReplaced(message);
    return this.live().filter(
      (message) => message.batch === Number.POSITIVE_INFINITY && isNewest(message) && !isLeaving(message),
    );
  }

  #isOut(message: ModelMessage): boolean {
    return this.settings.isMemory || message.batch <= this.committed;
  }

  /** The batch failed: its messages are still there, without a record. */
  #keep(batch: number): void {
    for (const message of this.messages) {
      if (message.storedBatch === batch) message.storedBatch += 1;
      if (message.batch !== batch) continue;
      message.batch = Number.POSITIVE_INFINITY;
      message.recordPosition = undefined;
    }
  }

  /** Whether it is not to be offered again: a newer value is on disk, or its publisher was told so without. */
  #isOutdated(message: ModelMessage): boolean {
    const { isLastValue, isMemory } = this.settings;
    if (message.isOverwritten || !isLastValue || !isMemory) return message.isOverwritten;
    const newest = this.messages.filter(({ key, state }) => key === message.key && state !== "done").at(-1)!;
    return newest !== message && newest.state !== "leaving"; // One that was dropped stands for its key no more.
  }

  /** Whether a newer value is on disk or about to be, whatever becomes of that one. */
  #isReplaced(message: ModelMessage): boolean {
    const replaces = ({ old, reason, isVoid }: Pair): boolean => old === message && reason === "superseded" && !isVoid;
    return message.isOverwritten || this.#pairs.some(replaces);
  }

  #exceeds(messages: readonly { bytes: number }[]): boolean {
    const bytes = messages.reduce((sum, message) => sum + message.bytes, 0);
    return messages.length > this.settings.maxCount || bytes > this.settings.maxBytes;
  }

  #leave(old: ModelMessage, successor: ModelMessage, reason: Pair["reason"]): void {
    if (old.state === "leaving") return;
    this.#pairs.push({ old, successor, reason, isVoid: false });
    if (old.state === "inFlight") return;
    old.state = "leaving";
    old.leavesFor = successor;
    old.leavesAs = reason;
  }

  /** Those whose successor is gone are their key's newest again, or leave for one that came after that. */
  #noteAgain(restored: Set<ModelMessage>): void {
    if (!this.settings.isLastValue) return;
    for (const message of restored) {
      restored.delete(message);
      const isNoted = ({ key, isOverwritten, state }: ModelMessage) =>
        key === message.key && !isOverwritten && state !== "leaving";
      if (!this.live().includes(message) || !isNoted(message)) continue;
      const known = this.live().findLast((other) => isNoted(other) && other !== message && !restored.has(other));
      if (known === undefined) continue;
      if (known.position < message.position) this.#leave(known, message, "superseded");
      else this.#leave(message, known, "superseded");
    }
  }

  #supersedeAgain(): void {
    if (!this.settings.isLastValue) return;
    const newest = new Map<string, ModelMessage>();
    for (const message of this.live()) {
      if (message.isOverwritten) continue;
      const known = newest.get(message.key!);
      if (known !== undefined) this.#leave(known, message, "superseded");
      newest.set(message.key!, message);
    }
  }

  #enforceLimits(): void {
    if (this.settings.overflow !== "drop_oldest") return;
    while (this.#exceeds(this.live()) && this.waiting().length > 0) this.finish(this.waiting()[0]!, "dropped");
  }
}

/**
 * What several queues over the same messages owe, as a model: it hears of every publish and of every delivery, and says what is missing
 * in which queue and what came that must not.
 *
 * A message of QoS 2 is stored once. One of QoS 1 that its publisher had to send again, because a kill came before its PUBACK, may be
 * stored twice: of such a one nothing can be said but that it is there.
 */

export interface Published {
  readonly publisher: string;
  /** Grows with each message of its publisher. */
  readonly number: number;
  readonly topic: string;
  readonly qos: 1 | 2;
  readonly sentInLife: number;
  /** What was in force when it was sent, of what the operator changes. */
  readonly epoch: number;
  /** -1: not yet. */
  ackedInLife: number;
  ackedInEpoch: number;
  ackedAtMs: number;
}

interface Copy {
  readonly published: Published;
  deliveredInLife: number;
  /** The connection that holds it now; 0: none. */
  holder: number;
  /** Its consumer wrote the acknowledgement; -1: not. */
  doneInLife: number;
  doneAtMs: number;
}

export class MixedModel {
  readonly faults: string[] = [];
  readonly published = new Map<string, Published>();
  /** When each life of the broker ended, ms. */
  readonly killedAtMs: number[] = [];
  readonly watches: QueueWatch[] = [];
  /** An acknowledgement older than this when the broker was killed was on disk. */
  readonly syncMsMax: number;
  /** The operator raises it before it changes something, and when that is changed back. */
  epoch = 0;

  constructor(syncMsMax: number) {
    this.syncMsMax = syncMsMax;
  }

  get life(): number {
    return this.killedAtMs.length;
  }

  watch(name: string, isTaken: (topic: string) => boolean): QueueWatch {
    const watch = new QueueWatch(name, this, isTaken);
    this.watches.push(watch);
    return watch;
  }

  watchOf(name: string): QueueWatch {
    return this.watches.find((watch) => watch.name === name)!;
  }

  onSent(publisher: string, number: number, topic: string, qos: 1 | 2): void {
    const { life: sentInLife, epoch } = this;
    const published = {
      publisher,
      number,
      topic,
      qos,
      sentInLife,
      epoch,
      ackedInLife: -1,
      ackedInEpoch: -1,
      ackedAtMs: 0,
    };
    this.published.set(`${publisher}/${number}`, published);
  }

  onPublisherAcknowledged(publisher: string, number: number, nowMs: number): void {
    const published = this.published.get(`${publisher}/${number}`)!;
    published.ackedInLife = this.life;
    published.ackedInEpoch = this.epoch;
    published.ackedAtMs = nowMs;
  }

  /** The client gave it up before it was sent. */
  onWithdrawn(publisher: string, number: number): void {
    this.published.delete(`${publisher}/${number}`);
  }

  onKilled(nowMs: number): void {
    this.killedAtMs.push(nowMs);
    for (const watch of this.watches) watch.onKilled();
  }

  /** Whether a kill came so soon after its PUBACK that its commit need not have ended. */
  isCutShort({ ackedInLife, ackedAtMs }: Published): boolean {
    const killedAtMs = this.killedAtMs[ackedInLife];
    return killedAtMs !== undefined && killedAtMs - ackedAtMs < this.syncMsMax;
  }
}

/** One queue of the model. */
export class QueueWatch {
  readonly name: string;
  readonly #model: MixedModel;
  readonly #isTaken: (topic: string) => boolean;
  readonly #copies = new Map<string, Copy>();
  /** Messages that went with their queue, and the first connection that must not get them. */
  readonly #gone = new Map<string, number>();
  deliveries = 0;

  constructor(name: string, model: MixedModel, isTaken: (topic: string) => boolean) {
    this.name = name;
    this.#model = model;
    this.#isTaken = isTaken;
  }

  /** `connection`: a number of its own for every connection of a consumer. Answers what it is. */
  onDelivered(id: string, isDup: boolean, connection: number): Published | undefined {
    const { life, killedAtMs, published: all, syncMsMax } = this.#model;
    const published = all.get(id);
    if (published === undefined || !this.#isTaken(published.topic)) {
      this.#fault(`${id} came and was never sent to it`);
      return undefined;
    }
    this.deliveries += 1;
    if (connection >= (this.#gone.get(id) ?? Number.POSITIVE_INFINITY)) this.#fault(`${id} came after its queue went`);
    const copy = this.#copies.get(id) ?? { published, deliveredInLife: -1, holder: 0, doneInLife: -1, doneAtMs: 0 };
    this.#copies.set(id, copy);
    const isSingle =
      published.qos === 2 || published.sentInLife === life || published.sentInLife === published.ackedInLife;
    if (isSingle) {
      const { holder, doneInLife, doneAtMs, deliveredInLife } = copy;
      if (holder !== 0) this.#fault(`${id} came to connection ${connection} while ${holder} held it`);
      if (doneInLife === life) this.#fault(`${id} came again after its acknowledgement, without a kill`);
      else if (doneInLife >= 0 && killedAtMs[doneInLife]! - doneAtMs > syncMsMax) {
        this.#fault(`${id} came again, although acknowledged ${killedAtMs[doneInLife]! - doneAtMs} ms before a kill`);
      }
      if (!isDup && deliveredInLife === life) this.#fault(`${id} came again without DUP`);
    }
    copy.deliveredInLife = life;
    copy.holder = connection;
    copy.doneInLife = -1;
    return published;
  }

  onConsumerAcknowledged(id: string, nowMs: number): void {
    const copy = this.#copies.get(id)!;
    copy.doneInLife = this.#model.life;
    copy.doneAtMs = nowMs;
    copy.holder = 0;
  }

  onRejected(id: string): void {
    this.#copies.get(id)!.holder = 0;
  }

  /** A connection ended: what it held goes back. */
  onConnectionEnded(connection: number): void {
    for (const copy of this.#copies.values()) if (copy.holder === connection) copy.holder = 0;
  }

  onKilled(): void {
    for (const copy of this.#copies.values()) copy.holder = 0;
  }

  /** The queue is gone, and whoever connects from now on consumes another: what `ids` names went with it. */
  onDeleted(ids: Iterable<string>, nextConnection: number): void {
    for (const id of ids) this.#gone.set(id, nextConnection);
    for (const copy of this.#copies.values()) copy.holder = 0;
  }

  /** Acknowledged to their publishers, and never delivered. */
  missing(): Published[] {
    const { published } = this.#model;
    const isMissing = ([id, { topic, ackedInLife }]: [string, Published]) =>
      ackedInLife >= 0 && this.#isTaken(topic) && !this.#copies.has(id);
    return [...published].filter(isMissing).map(([, each]) => each);
  }

  /** Of what is missing, what not even a queue in memory may lose: old when a kill came, or older than what survived that kill. */
  missingInMemory(): Published[] {
    return this.missing().filter((lost) => !this.#model.isCutShort(lost) || this.#hasSurvivedBy(lost));
  }

  #hasSurvivedBy({ publisher, number, sentInLife, ackedInLife }: Published): boolean {
    if (sentInLife !== ackedInLife) return false;
    for (const { published, deliveredInLife } of this.#copies.values()) {
      const isLater = published.publisher === publisher && published.number > number;
      const isOfLife = published.sentInLife === sentInLife && published.ackedInLife === sentInLife;
      if (isLater && isOfLife && deliveredInLife > sentInLife) return true;
    }
    return false;
  }

  #fault(text: string): void {
    this.#model.faults.push(`${this.name}, life ${this.#model.life}: ${text}`);
  }
}

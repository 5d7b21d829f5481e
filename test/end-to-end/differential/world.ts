/**
 * Runs a list of operations on one server, and says what could be seen of it: after each operation its answer, and what each client was
 * delivered until everything had come.
 *
 * Everything has come when marks that helpers publish have: one helper for each worker, so that a mark follows, in the same ring, whatever
 * that worker sent before. A will is waited for by the witness first, and retained messages of other workers take a second and a third round.
 */
import type { IPublishPacket, Packet } from "mqtt-packet";
import { homePartitionOf } from "../../../src/base/hash.ts";
import { Actor, codeOf } from "./actor.ts";
import { type List, type Name, type Operation, TOPICS } from "./operations.ts";

export interface Observation {
  readonly answer: string;
  /** By client, and of the witness; each topic and QoS in its order. */
  readonly delivered: readonly string[];
}

const HELPERS = 3;
const MARKS = "$marks";
const ROUNDS = 3;

/** A server with its helpers, for one list after the other. */
export class World {
  readonly #port: number;
  readonly #helpers: readonly Actor[];
  #lists = 0;
  #marks = 0;

  private constructor(port: number, helpers: readonly Actor[]) {
    this.#port = port;
    this.#helpers = helpers;
  }

  static async on(port: number): Promise<World> {
    const helpers: Actor[] = [];
    for (let worker = 0; worker < HELPERS; worker += 1) {
      let clientId = `helper-${worker}`;
      while (homePartitionOf(clientId, HELPERS) !== worker) clientId += "x";
      helpers.push(await Actor.open(port, 5, { clientId }));
    }
    return new World(port, helpers);
  }

  async close(): Promise<void> {
    for (const helper of this.#helpers) await helper.end({ cmd: "disconnect" });
  }

  async run(list: List): Promise<Observation[]> {
    this.#lists += 1;
    const root = `list${this.#lists}`;
    const actors = new Map<Name, Actor>();
    const witness = await this.#open(`${root}-witness`, 5, {});
    await subscribe(witness, `${root}/#`, { qos: 2, rap: true });
    const observations: Observation[] = [];
    try {
      for (const operation of list.operations) {
        const answer = await this.#perform(list, operation, root, actors, witness).catch(
          (error: Error) => error.message,
        );
        const recalls = operation.kind === "connect" || operation.kind === "subscribe";
        await this.#settle([...actors.values(), witness], recalls ? ROUNDS : 1);
        const delivered = [...actors]
          .sort(([one], [other]) => one.localeCompare(other))
          .map(([name, actor]) => `${name}: ${seen(actor.take(), root)}`);
        observations.push({ answer, delivered: [...delivered, `witness: ${seen(witness.take(), root)}`] });
      }
    } finally {
      for (const actor of [...actors.values(), witness]) actor.destroy();
      await this.#forget(list, root);
    }
    return observations;
  }

  async #open(clientId: string, version: 4 | 5, options: object): Promise<Actor> {
    const actor = await Actor.open(this.#port, version, { clientId, ...options });
    await subscribe(actor, `${MARKS}/#`, { qos: 1, rh: 2 });
    return actor;
  }

  async #perform(
    list: List,
    operation: Operation,
    root: string,
    actors: Map<Name, Actor>,
    witness: Actor,
  ): Promise<string> {
    const { by } = operation;
    const version = list.versions[by];
    const actor = actors.get(by);
    switch (operation.kind) {
      case "connect":
        return this.#connect(operation, version, root, actors, witness);
      case "end": {
        actors.delete(by);
        const expiry =
          operation.expiryS === undefined ? {} : { properties: { sessionExpiryInterval: operation.expiryS } };
        const reasonCode = operation.how === "withWill" ? 4 : 0;
        const goodbye = { cmd: "disconnect", ...(version === 5 ? { reasonCode, ...expiry } : {}) } as Packet;
        const isWilling = operation.how !== "normal" && this.#wills.has(`${root}-${by}`);
        await actor!.end(...(operation.how === "abrupt" ? [] : [goodbye]));
        if (isWilling) await this.#untilWill(root, by, witness);
        this.#wills.delete(`${root}-${by}`);
        return "ended";
      }
      case "subscribe": {
        const { filter, identifier, ...options } = operation;
        const codes = await subscribe(actor!, `${root}/${filter}`, { ...options, identifier });
        return `suback ${codes}`;
      }
      case "unsubscribe": {
        const packet = { cmd: "unsubscribe", unsubscriptions: [`${root}/${operation.filter}`] } as Packet;
        const answer = await actor!.ask(packet, "unsuback");
        return `unsuback ${"granted" in answer ? answer.granted : ""}`;
      }
      case "publish": {
        const { topic, qos, retain, text, alias, isAliasKnown, hasProperties } = operation;
        const properties = {
          ...(alias === 0 ? {} : { topicAlias: alias }),
          ...(hasProperties ? PROPERTIES : {}),
        };
        const codes = await actor!.publish({
          cmd: "publish",
          topic: isAliasKnown ? "" : `${root}/${topic}`,
          payload: text,
          qos,
          retain,
          dup: false,
          ...(version === 5 ? { properties } : {}),
        });
        return `published ${codes}`;
      }
      case "hold":
        actor!.isHolding = true;
        return "holds";
      case "release":
        actor!.release();
        return "released";
    }
  }

  /** Wills that clients have, by client ID: how many of each were seen by the witness. */
  readonly #wills = new Map<string, string>();

  async #connect(
    operation: Extract<Operation, { kind: "connect" }>,
    version: 4 | 5,
    root: string,
    actors: Map<Name, Actor>,
    witness: Actor,
  ): Promise<string> {
    const { by, clean, expiryS, will } = operation;
    const clientId = `${root}-${by}`;
    const before = actors.get(by);
    const isWilling = before !== undefined && this.#wills.has(clientId);
    actors.delete(by);
    const text = `will of ${by}`;
    const actor = await Actor.open(this.#port, version, {
      clientId,
      clean,
      ...(version === 5 ? { properties: { sessionExpiryInterval: expiryS } } : {}),
      ...(will === undefined
        ? {}
        : { will: { topic: `${root}/${will.topic}`, payload: Buffer.from(text), qos: will.qos, retain: will.retain } }),
    });
    actors.set(by, actor);
    let end = "";
    if (before !== undefined) {
      await before.closed();
      end = ", the one before is closed";
      if (isWilling) await this.#untilWill(root, by, witness);
    }
    if (will === undefined) this.#wills.delete(clientId);
    else this.#wills.set(clientId, text);
    await subscribe(actor, `${MARKS}/#`, { qos: 1, rh: 2 });
    const { sessionPresent } = actor.connack!;
    return `connack ${codeOf(actor.connack!)}${sessionPresent ? " present" : ""}${end}`;
  }

  #untilWill(root: string, by: Name, witness: Actor): Promise<void> {
    const text = this.#wills.get(`${root}-${by}`);
    return witness.until(() => witness.delivered.some(({ payload }) => payload.toString() === text), `the ${text}`);
  }

  /** Until everything that was under way has come. */
  async #settle(actors: readonly Actor[], rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round += 1) {
      await Promise.all(actors.map((actor) => actor.ping()));
      this.#marks += 1;
      const mark = `${this.#marks}`;
      const topics = this.#helpers.map((_, at) => `${MARKS}/${at}`);
      await Promise.all(
        this.#helpers.map((helper, at) =>
          helper.publish({ cmd: "publish", topic: topics[at]!, payload: mark, qos: 1, retain: false, dup: false }),
        ),
      );
      const hasAll = (actor: Actor): boolean =>
        topics.every((topic) =>
          actor.delivered.some((packet) => packet.topic === topic && packet.payload.toString() === mark),
        );
      await Promise.all(actors.map((actor) => actor.until(() => hasAll(actor), `mark ${mark}`)));
    }
  }

  /** Ends the sessions of a list, and clears its retained messages. */
  async #forget({ versions }: List, root: string): Promise<void> {
    this.#wills.clear();
    for (const [name, version] of Object.entries(versions)) {
      const actor = await Actor.open(this.#port, version, { clientId: `${root}-${name}`, clean: true });
      await actor.end({ cmd: "disconnect" });
    }
    for (const topic of TOPICS) {
      await this.#helpers[0]!.publish({
        cmd: "publish",
        topic: `${root}/${topic}`,
        payload: "",
        qos: 1,
        retain: true,
        dup: false,
      });
    }
  }
}

const PROPERTIES = {
  payloadFormatIndicator: true,
  contentType: "text/plain",
  responseTopic: "answers",
  correlationData: Buffer.from("17"),
  messageExpiryInterval: 10_000,
  userProperties: { first: "1", second: ["2", "2"] },
};

async function subscribe(
  actor: Actor,
  topic: string,
  options: { qos: number; nl?: boolean; rap?: boolean; rh?: number; identifier?: number },
): Promise<number[]> {
  const { qos, nl = false, rap = false, rh = 0, identifier = 0 } = options;
  const asked = actor.version === 5 ? { topic, qos, nl, rap, rh } : { topic, qos };
  const properties = identifier === 0 ? {} : { properties: { subscriptionIdentifier: identifier } };
  const answer = await actor.ask({ cmd: "subscribe", subscriptions: [asked], ...properties } as Packet, "suback");
  return (answer as Packet & { granted: number[] }).granted;
}

/** Deliveries by topic and QoS, each in its order; marks left out. DUP is left out: whether a server wrote to a dying socket is chance. */
function seen(packets: readonly IPublishPacket[], root: string): string {
  const byKind = new Map<string, string[]>();
  for (const { topic, qos, retain, payload, properties } of packets) {
    if (topic.startsWith(`${MARKS}/`)) continue;
    const kind = `${topic.replace(`${root}/`, "")} q${qos}`;
    const { messageExpiryInterval, subscriptionIdentifier, ...rest } = properties ?? {};
    const identifiers = [subscriptionIdentifier ?? []].flat().toSorted((one, other) => one - other);
    const described = [
      payload.toString(),
      ...(retain ? ["retained"] : []),
      ...(identifiers.length > 0 ? [`identifiers ${identifiers}`] : []),
      ...(messageExpiryInterval === undefined ? [] : ["expires"]),
      ...Object.entries(rest)
        .map(([name, value]) => `${name} ${Buffer.isBuffer(value) ? value.toString() : JSON.stringify(value)}`)
        .toSorted(),
    ].join(" ");
    const list = byKind.get(kind);
    if (list === undefined) byKind.set(kind, [described]);
    else list.push(described);
  }
  return [...byKind]
    .sort(([one], [other]) => one.localeCompare(other))
    .map(([kind, list]) => `${kind} [${list.join(", ")}]`)
    .join("; ");
}

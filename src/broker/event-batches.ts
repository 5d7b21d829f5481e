/** What is to be sent to each of several, sent together once the event is over: a message of its own costs more than what it says. */
export class EventBatches<Item> {
  readonly #send: (to: number, items: readonly Item[]) => void;
  /** By whom they are for. */
  readonly #waiting = new Map<number, Item[]>();

  constructor(send: (to: number, items: readonly Item[]) => void) {
    this.#send = send;
  }

  add(to: number, item: Item): void {
    const waiting = this.#waiting.get(to);
    if (waiting !== undefined) {
      waiting.push(item);
      return;
    }
    const items = [item];
    this.#waiting.set(to, items);
    queueMicrotask(() => {
      this.#waiting.delete(to);
      this.#send(to, items);
    });
  }
}

/**
 * What the other workers had shown this one by a moment, and whether it has taken all of that: frames come in order, so it then knows what
 * they had told it.
 */
import type { Partner } from "./partner.ts";

export class Shown {
  readonly #partners: readonly Partner[];
  readonly #marks: readonly number[];

  /** By now. */
  constructor(partners: readonly Partner[]) {
    this.#partners = partners;
    this.#marks = partners.map(({ shown }) => shown);
  }

  get isTaken(): boolean {
    return this.#partners.every((partner, index) => partner.hasTaken(this.#marks[index]!));
  }
}

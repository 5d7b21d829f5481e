/** A text that no log, dump or interpolation shows: only `reveal` gives it out. */
import { inspect } from "node:util";

export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The text itself: for comparing or for handing to another thread, never for a message. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return SECRET_MASK;
  }

  toJSON(): string {
    return SECRET_MASK;
  }

  [inspect.custom](): string {
    return SECRET_MASK;
  }
}

export const SECRET_MASK = "***";

/** Searching a text for another, paid before it is done: a search may compare each character with all of what is sought. */
import type { Evaluation } from "../key-evaluation.ts";

/** A word of the processor compares this many characters. */
const COMPARED_TOGETHER = 16;

/** Whether a search of the whole `text` for `sought` can still be paid. */
export function tryPaySearch(text: string, sought: string, evaluation: Evaluation): boolean {
  return evaluation.tryPay((text.length * sought.length) / COMPARED_TOGETHER);
}

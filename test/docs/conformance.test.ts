/**
 * Goal: docs/conformance.md leaves no normative statement out and counts right. That its tests exist is for docs.test.ts, which
 * looks up every file and title that a page names.
 * Method: how many statements each section of the two specifications has, against the rows of the page.
 */
import { describe, expect, it } from "vitest";
import { filesOf, pages, rowsOf, sectionOf } from "./pages.ts";

const page = pages.find(({ path }) => path === "docs/conformance.md")!;

/** Section and number of its statements, as the appendices of the specifications list them. */
const STATEMENTS = {
  "MQTT 5.0":
    "1.5.4 3, 1.5.5 1, 1.5.7 1, 2.1.3 1, 2.2.1 6, 2.2.2 1, 3.1.0 2, 3.1.2 30, 3.1.3 12, 3.1.4 6, 3.2.0 2, 3.2.2 22, " +
    "3.3.1 13, 3.3.2 20, 3.3.4 10, 3.4.2 3, 3.5.2 3, 3.6.1 1, 3.6.2 3, 3.7.2 3, 3.8.1 1, 3.8.3 5, 3.8.4 8, 3.9.2 2, " +
    "3.9.3 2, 3.10.1 1, 3.10.3 2, 3.10.4 6, 3.11.2 2, 3.11.3 2, 3.12.4 1, 3.14.0 1, 3.14.1 1, 3.14.2 4, 3.14.4 3, " +
    "3.15.1 1, 3.15.2 3, 4.1.0 2, 4.2.0 1, 4.3.1 1, 4.3.2 5, 4.3.3 13, 4.4.0 2, 4.5.0 2, 4.6.0 6, 4.7.0 1, 4.7.1 2, " +
    "4.7.2 1, 4.7.3 4, 4.8.2 6, 4.9.0 3, 4.12.0 7, 4.12.1 2, 4.13.1 1, 4.13.2 1, 6.0.0 4, 7.0.0 2, 7.1.1 1, 7.1.2 1",
  "MQTT 3.1.1":
    "1.5.3 3, 2.2.2 2, 2.3.1 7, 3.1.0 2, 3.1.2 24, 3.1.3 11, 3.1.4 5, 3.2.0 1, 3.2.2 6, 3.3.1 12, 3.3.2 3, 3.3.4 1, " +
    "3.3.5 2, 3.6.1 1, 3.8.1 1, 3.8.3 4, 3.8.4 6, 3.9.3 2, 3.10.1 1, 3.10.3 2, 3.10.4 6, 3.12.4 1, 3.14.1 1, 3.14.4 3, " +
    "4.1.0 2, 4.3.1 1, 4.3.2 2, 4.3.3 2, 4.4.0 1, 4.5.0 2, 4.6.0 6, 4.7.1 3, 4.7.2 1, 4.7.3 4, 4.8.0 2, 6.0.0 4, " +
    "7.0.0 2, 7.1.1 1, 7.1.2 1",
} as const;
/** The specification begins this section with its second statement. */
const NOT_THERE = "2.2.1-1";

const rows = (version: string): string[][] => rowsOf(sectionOf(page, version));

type State = "shown" | "differs" | "client" | "notApplicable" | "notYet";
function stateOf([, what, shown]: readonly string[]): State {
  if (shown === "binds the client") return "client";
  if (shown === "not yet") return "notYet";
  if (/^not applicable: ./.test(shown!)) return "notApplicable";
  return what!.startsWith("**Differs for queues**") ? "differs" : "shown";
}

describe.each(Object.entries(STATEMENTS))("%s", (version, statements) => {
  it("has every statement once, in order", () => {
    const expected = statements.split(", ").flatMap((part) => {
      const [section, count] = part.split(" ");
      return Array.from({ length: Number(count) }, (_, at) => `${section}-${at + 1}`);
    });
    expect(rows(version).map(([clause]) => clause)).toEqual(expected.filter((clause) => clause !== NOT_THERE));
  });

  it("names a test for everything that is shown", () => {
    const claimed = rows(version).filter((row) => ["shown", "differs"].includes(stateOf(row)));
    const unproven = claimed.filter((row) => filesOf({ path: page.path, text: row[2]! }).length === 0);
    expect(unproven).toEqual([]);
  });

  it("is counted right", () => {
    const states = rows(version).map(stateOf);
    const count = (state: State): string => `${states.filter((each) => each === state).length}`;
    const order = ["shown", "differs", "client", "notApplicable", "notYet"] as const;
    const counted = rowsOf(page.text).find(([first]) => first === version.replace("MQTT ", ""));
    expect(counted?.slice(1)).toEqual([`${states.length}`, ...order.map(count)]);
  });
});

/** Random values of MQTT's own kinds, for property tests. */
import fc from "fast-check";

/** Strings that MQTT can carry: no U+0000; fast-check's graphemes and code points have no unpaired surrogates. */
export const textArbitrary = fc
  .oneof(fc.string({ maxLength: 20 }), fc.string({ unit: "binary", maxLength: 20 }))
  .map((text) => text.replaceAll("\0", ""));

const levelArbitrary = fc.oneof(
  fc.constantFrom("a", "b", "", "$x", "devices", "é", "😀"),
  textArbitrary.map((text) => text.replaceAll(/[+#/]/g, "")),
);

/** Valid topic names. */
export const topicArbitrary = fc
  .array(levelArbitrary, { minLength: 1, maxLength: 6 })
  .map((levels) => levels.join("/"))
  .filter((topic) => topic.length > 0);

/** Valid topic filters. */
export const filterArbitrary = fc
  .tuple(fc.array(fc.oneof(levelArbitrary, fc.constant("+")), { minLength: 1, maxLength: 5 }), fc.constantFrom("", "#"))
  .map(([levels, last]) => (last === "#" ? [...levels, "#"] : levels).join("/"))
  .filter((filter) => filter.length > 0);

/** In mqtt-packet's form: values by name, at least one. No names that JavaScript would reorder, no empty values: it loses both. */
export const userPropertiesArbitrary = fc
  .uniqueArray(
    fc.tuple(
      textArbitrary.map((name) => `n${name}`),
      fc.array(
        textArbitrary.map((value) => `v${value}`),
        { minLength: 2, maxLength: 3 },
      ),
    ),
    { selector: ([name]) => name, minLength: 1, maxLength: 4 },
  )
  .map((entries) => Object.fromEntries(entries));

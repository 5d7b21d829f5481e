/** Functions of arrays, and of topics, which are arrays of levels. */
import { isMatch } from "../../mqtt/topics.ts";
import { arrayOfTexts, bytesOfText, EMPTY_BYTES, textOfScalar } from "../key-value.ts";
import { array, index, text, topicFilter } from "./parameters.ts";
import { type KeyFunction, pure, signature } from "./signature.ts";

export const arrayFunctions: Readonly<Record<string, KeyFunction>> = {
  nth: pure(
    signature([index, array], (_evaluation, place, items) =>
      place >= 1n && place <= items.length ? (items[Number(place) - 1] ?? null) : EMPTY_BYTES,
    ),
  ),
};

export const topicFunctions: Readonly<Record<string, KeyFunction>> = {
  topic_join: pure(
    signature([array], (_evaluation, levels) => {
      const texts = levels.map(textOfScalar);
      return texts.includes(undefined) ? "bad_argument" : bytesOfText(texts.join("/"));
    }),
    signature([text, text], (_evaluation, parent, level) =>
      bytesOfText(parent === "" || parent.endsWith("/") ? parent + level : `${parent}/${level}`),
    ),
  ),
  topic_match: pure(signature([text, topicFilter], (_evaluation, topic, filter) => isMatch(filter, topic))),
  topic_split: pure(signature([text], (_evaluation, topic) => arrayOfTexts(topic.split("/")))),
};

/** What is outside of the message: the environment, and the time. */
import { bytesOfText, EMPTY_BYTES } from "../key-value.ts";
import { text } from "./parameters.ts";
import { fresh, type KeyFunction, pure, signature } from "./signature.ts";

/** Only variables with these prefixes can be read: an expression is no way to the secrets of a process. */
const PREFIXES = ["RESTANTE_VAR_", "EMQXVAR_"];

export const systemFunctions: Readonly<Record<string, KeyFunction>> = {
  getenv: pure(
    signature([text], (_evaluation, name) => {
      for (const prefix of PREFIXES) {
        const value = process.env[prefix + name];
        if (value !== undefined) return bytesOfText(value);
      }
      return EMPTY_BYTES;
    }),
  ),
  timestamp_s: fresh(signature([], ({ nowMs }) => BigInt(Math.floor(nowMs / 1_000)))),
  timestamp_ms: fresh(signature([], ({ nowMs }) => BigInt(Math.floor(nowMs)))),
};

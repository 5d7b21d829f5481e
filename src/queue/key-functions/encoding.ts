/** Bytes as digits and back, and values inside JSON and JSON Web Tokens. */
import { bytesOfText, type KeyResult } from "../key-value.ts";
import { jsonValueAt } from "./json.ts";
import { bytes, integer, text, word } from "./parameters.ts";
import { type KeyFunction, pure, signature } from "./signature.ts";

const option = word("no_padding", "urlsafe");
type Option = "no_padding" | "urlsafe" | undefined;

function base64(value: Buffer, ...options: Option[]): KeyResult {
  const encoded = value.toString(options.includes("urlsafe") ? "base64url" : "base64");
  if (options.includes("no_padding")) return bytesOfText(encoded.replaceAll("=", ""));
  return bytesOfText(encoded.padEnd(Math.ceil(encoded.length / 4) * 4, "=")); // Node's base64url has no padding.
}

/** Strict: Node's own decoder passes over what is no digit. */
function base64Decoded(value: string, ...options: Option[]): KeyResult {
  const urlsafe = options.includes("urlsafe");
  const digits = options.includes("no_padding") ? value.replace(/=+$/, "") : value.replace(/={1,2}$/, "");
  const isGood = (urlsafe ? /^[-\w]*$/ : /^[+/0-9A-Za-z]*$/).test(digits) && digits.length % 4 !== 1;
  if (!isGood || (!options.includes("no_padding") && value.length % 4 !== 0)) return "bad_argument";
  return Buffer.from(digits, urlsafe ? "base64url" : "base64");
}

/** The claims of a token, whose signature is not checked. */
function claimOf(token: string, path: string): KeyResult {
  const parts = token.split(".", 4);
  if (parts.length !== 3) return null;
  const claims = base64Decoded(parts[1]!, "urlsafe", "no_padding");
  return Buffer.isBuffer(claims) ? jsonValueAt(claims, path.split(".")) : null;
}

export const encodingFunctions: Readonly<Record<string, KeyFunction>> = {
  bin2hexstr: pure(signature([bytes], (_evaluation, value) => bytesOfText(value.toString("hex").toUpperCase()))),
  hexstr2bin: pure(
    signature([text], (_evaluation, value) =>
      value.length % 2 === 0 && /^[0-9a-fA-F]*$/.test(value) ? Buffer.from(value, "hex") : "bad_argument",
    ),
  ),
  int2hexstr: pure(signature([integer], (_evaluation, value) => bytesOfText(value.toString(16).toUpperCase()))),
  base64_encode: pure(
    signature([bytes], (_evaluation, value, ...options) => base64(value, ...options), [option, option]),
  ),
  base64_decode: pure(
    signature([text], (_evaluation, value, ...options) => base64Decoded(value, ...options), [option, option]),
  ),
  json_value: pure(signature([bytes, text], (_evaluation, json, path) => jsonValueAt(json, path.split(".")))),
  jwt_value: pure(signature([text, text], (_evaluation, token, path) => claimOf(token, path))),
};

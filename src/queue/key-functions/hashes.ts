/** Hashes, and numbers out of them or out of chance. */
import { createHash } from "node:crypto";
import { KEY_MADE_CHARACTERS_MAX } from "../../base/limits.ts";
import { bytesOfText, type KeyResult } from "../key-value.ts";
import { bytes, count, integer, word } from "./parameters.ts";
import { fresh, type KeyFunction, type Parameter, pure, signature } from "./signature.ts";

/** EMQX's names, Node's names. */
const ALGORITHMS = {
  md5: "md5",
  sha: "sha1",
  sha1: "sha1",
  sha224: "sha224",
  sha256: "sha256",
  sha384: "sha384",
  sha512: "sha512",
  sha3_224: "sha3-224",
  sha3_256: "sha3-256",
  sha3_384: "sha3-384",
  sha3_512: "sha3-512",
  shake128: "shake128",
  shake256: "shake256",
  blake2b: "blake2b512",
  blake2s: "blake2s256",
} as const;
type Algorithm = keyof typeof ALGORITHMS;
/** Of the two hashes whose length is a choice, in bytes. */
const OUTPUT_BYTES: Partial<Record<Algorithm, number>> = { shake128: 16, shake256: 32 };

const algorithm = word(...(Object.keys(ALGORITHMS) as Algorithm[]));

function hash(name: Algorithm, data: Buffer): KeyResult {
  const outputLength = OUTPUT_BYTES[name];
  const options = outputLength === undefined ? {} : { outputLength };
  return bytesOfText(createHash(ALGORITHMS[name], options).update(data).digest("hex"));
}

/** Bytes as an integer, the first the highest; no bytes are none. */
const integerOf = (data: Buffer): bigint | undefined =>
  data.byteLength === 0 ? undefined : BigInt(`0x${data.toString("hex")}`);

/** A number from `min` to `max`, both included. */
function ranged(value: bigint | undefined, min: bigint, max: bigint): KeyResult {
  if (value === undefined || min > max) return "bad_argument";
  const range = max - min + 1n;
  return min + (((value % range) + range) % range);
}

/** An integer itself, or bytes as one. */
const integerOrBytes: Parameter<bigint> = {
  wanted: "an integer or a string",
  read: (value) => {
    if (typeof value === "bigint") return value;
    return Buffer.isBuffer(value) ? integerOf(value) : undefined;
  },
};

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

export const hashFunctions: Readonly<Record<string, KeyFunction>> = {
  hash: pure(signature([algorithm, bytes], (_evaluation, name, data) => hash(name, data))),
  hash_to_range: pure(
    signature([bytes, integer, integer], (_evaluation, data, min, max) =>
      ranged(data.byteLength === 0 ? undefined : integerOf(createHash("sha256").update(data).digest()), min, max),
    ),
  ),
  map_to_range: pure(
    signature([integerOrBytes, integer, integer], (_evaluation, value, min, max) => ranged(value, min, max)),
  ),
  rand_str: fresh(
    signature([count(1, KEY_MADE_CHARACTERS_MAX)], ({ random }, length) => {
      let made = "";
      while (made.length < length) made += LETTERS[Math.floor(random() * LETTERS.length)];
      return bytesOfText(made);
    }),
  ),
  rand_int: fresh(signature([count(1)], ({ random }, max) => BigInt(1 + Math.floor(random() * max)))),
};

/**
 * THE table of coded errors: every expected failure that reaches a user, with the HTTP status and the MQTT reason code
 * it is answered with and a hint that says what to do. docs/errors.md explains each; a test compares the two.
 *
 * Three outcomes, three forms: a refusal is a value, an expected failure at a border is a `CodedError`, a bug is an
 * assertion (src/base/assert.ts).
 */

export interface ErrorDefinition {
  /** What REST answers; null for errors that never leave over HTTP (the start of the broker). */
  readonly httpStatus: number | null;
  /** What a v5 client gets in PUBACK, SUBACK or DISCONNECT; null where no packet ever carries it. */
  readonly reasonCode: number | null;
  /** One sentence: what the reader can do about it. */
  readonly hint: string;
}

export const ERRORS = {
  // What a request may get wrong
  BAD_REQUEST: {
    httpStatus: 400,
    reasonCode: 0x83,
    hint: "The message names the field and the fault; correct it and send the request again.",
  },
  ALREADY_EXISTS: {
    httpStatus: 400,
    reasonCode: null,
    hint: "Choose another name, or change the existing queue with PUT.",
  },
  MAX_QUEUE_COUNT_REACHED: {
    httpStatus: 400,
    reasonCode: null,
    hint: "Delete a queue that is no longer used, or raise queues.max_queue_count.",
  },
  NOT_FOUND: {
    httpStatus: 404,
    reasonCode: null,
    hint: "Check the spelling; slashes inside a queue's name are written %2F.",
  },
  CLIENTID_NOT_FOUND: {
    httpStatus: 404,
    reasonCode: null,
    hint: "No client with this ID is connected, and no session of it is kept.",
  },
  METHOD_NOT_ALLOWED: {
    httpStatus: 405,
    reasonCode: null,
    hint: "The Allow header lists the methods of this path.",
  },
  UNSUPPORTED_MEDIA_TYPE: {
    httpStatus: 415,
    reasonCode: null,
    hint: "Send the body as JSON, with the header Content-Type: application/json.",
  },

  // Who may do what
  AUTHORIZATION_HEADER_ERROR: {
    httpStatus: 401,
    reasonCode: 0x87,
    hint: "Send the API key and its secret with HTTP basic authentication.",
  },
  BAD_API_KEY_OR_SECRET: {
    httpStatus: 401,
    reasonCode: 0x87,
    hint: "Check the key and its secret; without a key file they are in the data directory, in api-key.txt.",
  },
  BAD_TOKEN: {
    httpStatus: 401,
    reasonCode: 0x87,
    hint: "This token is not known here; use an API key with HTTP basic authentication.",
  },
  UNAUTHORIZED_ROLE: {
    httpStatus: 403,
    reasonCode: 0x87,
    hint: "Use an API key whose role and scopes cover this request.",
  },

  // What the HTTP listener bounds
  REQUEST_TIMEOUT: {
    httpStatus: 408,
    reasonCode: null,
    hint: "The request did not arrive in time; send it again without pauses.",
  },
  PAYLOAD_TOO_LARGE: {
    httpStatus: 413,
    reasonCode: 0x95,
    hint: "Send less in one request.",
  },
  EXPECTATION_FAILED: {
    httpStatus: 417,
    reasonCode: null,
    hint: "The only expectation understood is 100-continue.",
  },
  REQUEST_HEADERS_TOO_LARGE: {
    httpStatus: 431,
    reasonCode: null,
    hint: "Send fewer or shorter headers.",
  },

  // What the broker cannot do now
  INTERNAL_ERROR: {
    httpStatus: 500,
    reasonCode: 0x83,
    hint: "This is a defect: the log has its stack; please report it.",
  },
  SERVICE_UNAVAILABLE: {
    httpStatus: 503,
    reasonCode: 0x88,
    hint: "The broker is starting, stopping or overloaded; try again after the time in Retry-After.",
  },
  QUEUE_LIMIT_REACHED: {
    httpStatus: 400,
    reasonCode: 0x97,
    hint: "The queue is full and its overflow policy is reject; consume or purge messages, or raise its limits.",
  },
  DISK_FULL: {
    httpStatus: 503,
    reasonCode: 0x83,
    hint: "Free space on the disk of the data directory; nothing that was acknowledged is lost.",
  },
  IO_ERROR: {
    httpStatus: 503,
    reasonCode: 0x83,
    hint: "The disk of the data directory failed to write; see the log and the kernel's messages.",
  },
  STORE_DAMAGED: {
    httpStatus: 503,
    reasonCode: 0x83,
    hint: "Part of the store cannot be read; restante fsck says which part. Rescue what is readable, or restore a backup.",
  },

  // What stops a start
  CONFIG_INVALID: {
    httpStatus: null,
    reasonCode: null,
    hint: "Correct the setting that the message names; restante check-config checks without starting.",
  },
  API_KEYS_INVALID: {
    httpStatus: null,
    reasonCode: null,
    hint: "Each line of the key file is key:secret, key:secret:role or key:secret:role:scopes.",
  },
  ACCESS_INVALID: {
    httpStatus: 400,
    reasonCode: null,
    hint: "Correct the file that the message names, and the line; restante check-config reads it too, restante passwd writes the password file.",
  },
  DATA_DIR_IN_USE: {
    httpStatus: null,
    reasonCode: null,
    hint: "Another broker runs on this data directory; stop it or choose another directory.",
  },
  DATA_DIR_UNUSABLE: {
    httpStatus: null,
    reasonCode: null,
    hint: "The data directory must exist or be creatable, and be writable for this user.",
  },
  LISTEN_FAILED: {
    httpStatus: null,
    reasonCode: null,
    hint: "The port is taken or not allowed; choose another, or 0 for a free one.",
  },
} as const satisfies Record<string, ErrorDefinition>;

export type ErrorCode = keyof typeof ERRORS;

/** An error as a plain object, for a message port: errors lose their class when they cross threads. */
export interface PlainError {
  readonly code: ErrorCode;
  readonly message: string;
}

/** An expected failure at a border. `message` says what happened and never holds a secret. */
export class CodedError extends Error {
  override readonly name = "CodedError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }

  get httpStatus(): number | null {
    return ERRORS[this.code].httpStatus;
  }

  get reasonCode(): number | null {
    return ERRORS[this.code].reasonCode;
  }

  get hint(): string {
    return ERRORS[this.code].hint;
  }

  /** The form that crosses threads; the cause stays behind (log it where it happened). */
  toPlain(): PlainError {
    return { code: this.code, message: this.message };
  }

  static fromPlain(plain: PlainError): CodedError {
    return new CodedError(plain.code, plain.message);
  }
}

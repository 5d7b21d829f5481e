/**
 * The door of authentication: what a CONNECT shows, and what is made of it. A password file, client certificates and anonymous
 * clients are judged here; another way (a token, an HTTP service) is one more `Authenticator`.
 *
 * ```
 *   CONNECT ─► Credentials ─► Authenticator ─┬─ accepted, as a user or as nobody ─► session
 *                                            └─ refused, with a reason code ─────► CONNACK
 * ```
 */
import { ReasonCode } from "../mqtt/reason-codes.ts";

/** What a client shows of itself. Kept by nobody beyond its judgement: it may hold a password. */
export interface Credentials {
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: Uint8Array | undefined;
  /** The name in a client certificate that its listener has verified and takes for a user. */
  readonly certificateUser: string | undefined;
  /** The other side's IP address. */
  readonly address: string;
  /** The name of the listener it came by. */
  readonly listener: string;
}

/** Accepted: `user` is a name that was proven, undefined for a client that proved none. */
export type Verdict =
  | { readonly kind: "accepted"; readonly user: string | undefined }
  | { readonly kind: "refused"; readonly reasonCode: number };

export interface Authenticator {
  /** Calls `judged` once, at once or later; it never throws. Until then the connection waits and is read no further. */
  authenticate(credentials: Credentials, judged: (verdict: Verdict) => void): void;
}

/** Whether a name and a password belong together; asked only of what has both and is within the bounds. */
export type VerifyPassword = (
  request: { readonly username: string; readonly password: Uint8Array; readonly address: string },
  judged: (outcome: VerificationOutcome) => void,
) => void;

/** `busy`: too many wait already. */
export type VerificationOutcome = "right" | "wrong" | "busy";

export interface AuthenticationSettings {
  readonly allowAnonymous: boolean;
  /** Undefined without a password file: then a user name is a word that proves nothing. */
  readonly verifyPassword: VerifyPassword | undefined;
}

/** Bytes of a name or a password that are looked at; longer ones are no user's. */
export const CREDENTIAL_BYTES_MAX = 1_024;

const ANONYMOUS: Verdict = { kind: "accepted", user: undefined };
const WRONG: Verdict = { kind: "refused", reasonCode: ReasonCode.badUserNameOrPassword };
const NOT_AUTHORIZED: Verdict = { kind: "refused", reasonCode: ReasonCode.notAuthorized };
const BUSY: Verdict = { kind: "refused", reasonCode: ReasonCode.serverBusy };

/** Certificates first, then the password file, then whether anonymous clients may come. */
export function createAuthenticator({ allowAnonymous, verifyPassword }: AuthenticationSettings): Authenticator {
  const withoutProof = allowAnonymous ? ANONYMOUS : NOT_AUTHORIZED;
  return {
    authenticate({ certificateUser, username, password, address }, judged) {
      if (certificateUser !== undefined) {
        judged({ kind: "accepted", user: certificateUser });
      } else if (verifyPassword === undefined || (username === undefined && password === undefined)) {
        judged(withoutProof);
      } else if (username === undefined || password === undefined || isTooLong(username, password)) {
        judged(WRONG); // A name without a password proves as little as a wrong one, also where anonymous clients may come.
      } else {
        verifyPassword({ username, password, address }, (outcome) => {
          if (outcome === "right") judged({ kind: "accepted", user: username });
          else judged(outcome === "busy" ? BUSY : WRONG);
        });
      }
    },
  };
}

const isTooLong = (username: string, password: Uint8Array): boolean =>
  Buffer.byteLength(username) > CREDENTIAL_BYTES_MAX || password.length > CREDENTIAL_BYTES_MAX;

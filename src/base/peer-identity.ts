/** Who stands at the other end of a connection, as far as its listener knows: for those who decide what it may do. Plain data. */
export interface PeerIdentity {
  /** The address alone, without a port; behind a trusted proxy, the one that the proxy announced. */
  readonly address: string;
  /** The listener's name, as in the settings and in the log. */
  readonly listener: string;
  readonly isTls: boolean;
  /** The common name of a certificate that was verified against the listener's authorities; null without one. */
  readonly certificateCommonName: string | null;
}

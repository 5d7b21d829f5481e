/** What a worker counts of its sessions; all since the start. Each is counted with one addition, where it happens. */
export class SessionCounters {
  /** Whole packets from clients and their bytes, CONNECT included. */
  packetsReceived = 0;
  bytesReceived = 0;
  connects = 0;
  /** PUBLISH packets either way; bytes are those of payloads. */
  publishesReceived = 0;
  publishBytesReceived = 0;
  publishesSent = 0;
  publishBytesSent = 0;
  /** Sessions that ended because their time away was over. */
  expiredSessions = 0;
  /** Deliveries given up, by reason. */
  droppedNotWritable = 0;
  droppedInboxFull = 0;
  droppedExpired = 0;
  droppedTooLarge = 0;
  droppedOffline = 0;
  droppedDamaged = 0;
  /** Publishes to a reserved root by MQTT 3 clients, acknowledged and dropped, and wills to one. */
  droppedReservedTopic = 0;
  /** What the rules did not allow: publishes, subscriptions, wills, and deliveries of what waited. */
  deniedPublishes = 0;
  deniedSubscriptions = 0;
  deniedDeliveries = 0;
  /** CONNECTs that the authenticator refused. */
  refusedConnections = 0;
  /** PUBACK, PUBREC or PUBCOMP for an identifier that this client was not sent. */
  unknownAcknowledgements = 0;
}

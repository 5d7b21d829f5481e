/** Goal: the LMDB log keeps the contract. Method: the contract suite, with a large and with no room for reading in memory. */
import { openPartitionLog } from "../../src/log/partition-log.ts";
import { contractSuite } from "./contract-suite.ts";

contractSuite("LMDB", (directory, events) => openPartitionLog({ directory, partition: 0, events }));
contractSuite("LMDB, reading from disk", (directory, events) =>
  openPartitionLog({ directory, partition: 0, events, readCacheBytes: 0 }),
);

/**
 * Goal: the LMDB log keeps the contract. Method: the contract suite, with a large and with no room for reading in memory, and with every
 * neighbour merged as soon as there is one.
 */
import { openPartitionLog } from "../../src/log/partition-log.ts";
import { contractSuite } from "./contract-suite.ts";
import { MERGE_ALL } from "./messages.ts";

contractSuite("LMDB", (directory, events) => openPartitionLog({ directory, partition: 0, events }));
contractSuite("LMDB, reading from disk", (directory, events) =>
  openPartitionLog({ directory, partition: 0, events, readCacheBytes: 0 }),
);
contractSuite("LMDB, merging all it can", (directory, events) =>
  openPartitionLog({ directory, partition: 0, events, merge: MERGE_ALL }),
);

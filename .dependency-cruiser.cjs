// The import layers of src: each row may import the rows before it, never its own neighbours or what comes after.
const rows = [
  ["base"],
  ["ring", "frame", "mqtt"],
  ["access"],
  ["transport", "session", "router", "queue", "dispatch", "log"],
  ["worker", "control", "config", "pool"],
  ["broker"],
  ["main", "cli"],
];
// The exceptions, each with its reason.
const allowed = [
  ["frame", "ring"], // Frames are the meaning of ring records.
  ["mqtt", "frame"], // PUBLISH packets are written from the one layout of a message.
  ["dispatch", "queue"], // A strategy chooses for a queue.
  ["queue", "log"], // A queue is written against the storage contract.
];
// Single files that are contracts: who builds on one may see it, and nothing else of that room.
const contracts = {
  control: "^src/worker/commands[.]ts$", // Control speaks to workers in commands, and that one file says which.
  queue: "^src/log/contract[.]ts$", // Queues live in a log, whichever implements it.
  dispatch: "^src/log/contract[.]ts$",
};
const may = (from, to) => from === to || allowed.some(([a, b]) => a === from && b === to);
const forbidden = [];
for (const [index, row] of rows.entries()) {
  for (const room of row) {
    const banned = rows
      .slice(index)
      .flat()
      .filter((other) => !may(room, other));
    forbidden.push({
      name: `${room}-imports-only-lower-rows`,
      severity: "error",
      from: { path: `^src/${room}/` },
      to: {
        path: `^src/(${banned.join("|")})/`,
        ...(contracts[room] === undefined ? {} : { pathNot: contracts[room] }),
      },
    });
  }
}
forbidden.push(
  {
    name: "no-circles",
    severity: "error",
    from: {},
    to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
  },
  { name: "no-unresolved", severity: "error", from: {}, to: { couldNotResolve: true } },
);
module.exports = {
  forbidden,
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default", "types"],
      extensions: [".ts", ".js"],
    },
  },
};

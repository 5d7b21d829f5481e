/** The medians of a bench as a table for people: a line a scenario, a column a peer, ratios to the first peer. */
import type { Measurement } from "./runner.ts";

export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle]!;
  return (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Columns padded to their widest cell; the first column is text, the others are numbers. */
export function alignedTable(lines: readonly (readonly string[])[]): string {
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const padded = (cell: string, column: number): string =>
    column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!);
  return lines.map((line) => line.map(padded).join("  ").trimEnd()).join("\n");
}

/** Microseconds of the server's processors for a message in or out, whichever there is more of. */
const cpuUsOf = ({ result }: Measurement): number =>
  (result.cpu_server_s * 1e6) / Math.max(1, Math.max(result.pub_per_s, result.recv_per_s) * result.window_s);

/** The median of the ratios of each repeat, with their range; empty when one of the two was not measured. */
function ratioOf(ours: readonly Measurement[], base: readonly Measurement[]): string {
  const ratios = ours.flatMap(({ repeat, perS }) => {
    const other = base.find((measurement) => measurement.repeat === repeat);
    return other === undefined ? [] : [perS / other.perS];
  });
  if (ratios.length === 0) return "";
  const median = `${medianOf(ratios).toFixed(2)}x`;
  if (ratios.length === 1) return median;
  return `${median} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`;
}

export function benchTable(measurements: readonly Measurement[]): string {
  const peers = [...new Set(measurements.map(({ peer }) => peer))];
  const rowOf = ({ scenario, consumerWindow }: Measurement): string => `${scenario}, consumer window ${consumerWindow}`;
  const head = ["messages/s (median)", ...peers, ...peers.slice(1).map((peer) => `${peer} : ${peers[0]}`)];
  const lines = [[...head, ...peers.map((peer) => `${peer} cpu us`), "lost", "again"]];
  for (const row of new Set(measurements.map(rowOf))) {
    const ofRow = measurements.filter((measurement) => rowOf(measurement) === row);
    const byPeer = peers.map((peer) => ofRow.filter((measurement) => measurement.peer === peer));
    const medians = (read: (measurement: Measurement) => number, digits: number): string[] =>
      byPeer.map((all) => (all.length === 0 ? "" : medianOf(all.map(read)).toFixed(digits)));
    const sumOf = (field: "lost" | "duplicates"): string =>
      String(ofRow.reduce((sum, { result }) => sum + result[field], 0));
    lines.push([
      row,
      ...medians(({ perS }) => perS, 0),
      ...byPeer.slice(1).map((all) => ratioOf(all, byPeer[0]!)),
      ...medians(cpuUsOf, 2),
      sumOf("lost"),
      sumOf("duplicates"),
    ]);
  }
  return alignedTable(lines);
}

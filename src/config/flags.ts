/** The flags of the command line that set a key; `--config` names the file and is none of them. */
import { dotted, emptyTree, type Source, trySet } from "./source.ts";

export interface Flag {
  readonly flag: string;
  readonly placeholder: string;
  readonly path: readonly string[];
}

export const FLAGS: readonly Flag[] = [
  { flag: "--host", placeholder: "<address>", path: ["host"] },
  { flag: "--mqtt-port", placeholder: "<port>", path: ["mqtt", "port"] },
  { flag: "--ws-port", placeholder: "<port>", path: ["ws", "port"] },
  { flag: "--http-port", placeholder: "<port>", path: ["http", "port"] },
  { flag: "--data-dir", placeholder: "<directory>", path: ["data_dir"] },
  { flag: "--workers", placeholder: "<number|auto>", path: ["workers"] },
  { flag: "--api-keys", placeholder: "<file>", path: ["api_keys"] },
  { flag: "--log-level", placeholder: "<level>", path: ["log", "level"] },
];

/** Written values by flag, `{"--mqtt-port": "1884"}`. */
export type FlagValues = Readonly<Record<string, string | undefined>>;

export function flagsSource(values: FlagValues): Source {
  const tree = emptyTree();
  for (const { flag, path } of FLAGS) {
    const value = values[flag];
    if (value !== undefined) trySet(tree, path, value);
  }
  return { tree, placeOf: spell, spell, isHidden: () => false };
}

function spell(path: readonly string[]): string {
  return FLAGS.find((candidate) => dotted(candidate.path) === dotted(path))?.flag ?? dotted(path);
}

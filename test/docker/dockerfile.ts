/** A Dockerfile as its stages and instructions; enough of the format for the one in this repository. */
export interface Instruction {
  readonly name: string;
  readonly rest: string;
}

export interface Stage {
  readonly image: string;
  readonly name: string | undefined;
  readonly instructions: readonly Instruction[];
}

export function stagesOf(text: string): readonly Stage[] {
  const stages: (Stage & { instructions: Instruction[] })[] = [];
  const joined = text.replaceAll(/^\s*#.*\n/gm, "").replaceAll(/\\\n\s*/g, " ");
  for (const line of joined.split("\n").filter((candidate) => candidate.trim() !== "")) {
    const [, name, rest] = /^([A-Z]+)\s+(.*)$/.exec(line)!;
    if (name === "FROM") {
      const [image, , stage] = rest!.split(/\s+/);
      stages.push({ image: image!, name: stage, instructions: [] });
    } else stages.at(-1)!.instructions.push({ name: name!, rest: rest! });
  }
  return stages;
}

export interface Copy {
  /** The stage that the sources come from; undefined for the build context. */
  readonly from: string | undefined;
  readonly sources: readonly string[];
  readonly target: string;
}

export function copiesOf({ instructions }: Stage): readonly Copy[] {
  return instructions
    .filter(({ name }) => name === "COPY")
    .map(({ rest }) => {
      const words = rest.split(/\s+/);
      const from = words[0]!.startsWith("--from=") ? words.shift()!.slice("--from=".length) : undefined;
      return { from, sources: words.slice(0, -1), target: words.at(-1)! };
    });
}

/** The rest of an instruction that occurs once. */
export function theOne({ instructions }: Stage, name: string): string {
  const found = instructions.filter((candidate) => candidate.name === name);
  if (found.length !== 1) throw new Error(`${found.length} times ${name}`);
  return found[0]!.rest;
}

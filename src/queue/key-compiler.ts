/**
 * From the syntax tree of a key expression to functions that compute it. Names, numbers of arguments and constant arguments are
 * checked here, so that what can be known to fail fails when the queue is created.
 */
import { KEY_VALUE_BYTES_MAX } from "../base/limits.ts";
import type { ExpressionNode } from "./key-expression-grammar.ts";
import { aritiesOf, type Evaluator, type Parameter, type Signature, signatureFor } from "./key-functions/signature.ts";
import { KEY_FUNCTIONS } from "./key-functions/table.ts";
import { bytesOfText, isFault, type KeyValue, weightOf } from "./key-value.ts";
import { variableOf } from "./message-variable.ts";

export interface CompileFault {
  /** Names the fault without its position. */
  readonly message: string;
  /** Counts characters of the source from 0. */
  readonly position: number;
}

export interface Compiled {
  readonly evaluate: Evaluator;
  /** Whether the same message gives the same key each time. */
  readonly isRepeatable: boolean;
}

type Call = Extract<ExpressionNode, { kind: "call" }>;

export function compileNode(node: ExpressionNode): Compiled | CompileFault {
  const compiler = new Compiler();
  const evaluate = compiler.evaluatorOf(node);
  return compiler.fault ?? { evaluate, isRepeatable: compiler.isRepeatable };
}

/** The value of a constant. */
export function constantOf({ value }: Extract<ExpressionNode, { kind: "constant" }>): KeyValue {
  return typeof value === "string" ? bytesOfText(value) : value;
}

class Compiler {
  /** The first one, in the order of the source. */
  fault: CompileFault | undefined;
  isRepeatable = true;

  evaluatorOf(node: ExpressionNode): Evaluator {
    switch (node.kind) {
      case "constant": {
        const value = constantOf(node);
        return () => value;
      }
      case "variable": {
        const variable = variableOf(node.path);
        if (variable.problem !== undefined) this.#refuse(variable.problem, node.position);
        return ({ region, offset }) => variable.valueOf(region, offset);
      }
      case "array":
        return arrayOf(node.items.map((item) => this.evaluatorOf(item)));
      case "call":
        return this.#call(node);
    }
  }

  #call(node: Call): Evaluator {
    const { name, items, position } = node;
    const called = KEY_FUNCTIONS.get(name);
    if (called === undefined) return this.#refuse(`the function ${name} is unknown`, position);
    if (!called.isRepeatable) this.isRepeatable = false;
    const signature = signatureFor(called, items.length);
    if (signature === undefined) {
      const plural = /(^| )1$/.test(aritiesOf(called)) ? "" : "s";
      return this.#refuse(`${name} takes ${aritiesOf(called)} argument${plural}, not ${items.length}`, position);
    }
    if (called.lazily !== undefined) return called.lazily(items.map((item) => this.evaluatorOf(item)));
    return callOf(
      signature,
      items.map((item, index) => this.#argument(name, signature, item, index)),
    );
  }

  #argument(name: string, signature: Signature, node: ExpressionNode, index: number): Argument {
    const { required, optional, rest } = signature;
    const parameter = required[index] ?? optional[index - required.length] ?? rest!;
    if (node.kind !== "constant") return { parameter, evaluate: this.evaluatorOf(node), constant: undefined };
    const value = constantOf(node);
    const constant = parameter.read(value);
    if (constant === undefined) {
      const more = parameter.problemOf === undefined ? "" : `: ${parameter.problemOf(value)}`;
      this.#refuse(`argument ${index + 1} of ${name} is not ${parameter.wanted}${more}`, node.position);
    }
    return { parameter, evaluate: undefined, constant };
  }

  #refuse(message: string, position: number): Evaluator {
    this.fault ??= { message, position };
    return () => null;
  }
}

interface Argument {
  readonly parameter: Parameter<unknown>;
  /** Absent for a constant, which has been read. */
  readonly evaluate: Evaluator | undefined;
  readonly constant: unknown;
}

function callOf(signature: Signature, args: readonly Argument[]): Evaluator {
  return (evaluation) => {
    const values: unknown[] = [];
    for (const { evaluate, parameter, constant } of args) {
      if (evaluate === undefined) {
        values.push(constant);
        continue;
      }
      const result = evaluate(evaluation);
      if (isFault(result)) return result;
      if (!evaluation.tryPay(weightOf(result))) return "too_large";
      const read = parameter.read(result);
      if (read === undefined) return "bad_argument";
      values.push(read);
    }
    const result = signature.apply(evaluation, values);
    return isFault(result) || weightOf(result) <= KEY_VALUE_BYTES_MAX ? result : "too_large";
  };
}

function arrayOf(items: readonly Evaluator[]): Evaluator {
  return (evaluation) => {
    const values: KeyValue[] = [];
    for (const item of items) {
      const result = item(evaluation);
      if (isFault(result)) return result;
      values.push(result);
    }
    return values;
  };
}

/**
 * What one resource is, seen from the generic server: its fields and its five operations. A resource file never sees
 * gRPC, wire markers or unknown values: it is called with plain JSON, and only when everything is known.
 */
import type { Context } from "./context";
import type { Json, Values } from "./values";

/** `json`: any plain value. */
export type FieldType = "string" | "number" | "boolean" | "object" | "list" | "json";

export interface Field {
  readonly type: FieldType;
  /** One sentence: meaning, unit, default. Published in the package schema. */
  readonly about: string;
}

export interface InputField extends Field {
  readonly optional?: true;
  /** Wrapped as a secret by Check even when the program forgot to. */
  readonly secret?: true;
  /**
   * What a change means. `update` (default); `replace`: a new object under a new name; `none`: the value only helps to
   * find something (a path), and another field (its digest) tells whether that changed.
   */
  readonly change?: "update" | "replace" | "none";
  /** With `update`: fields of an object of which a change replaces all the same. */
  readonly replaceOnly?: readonly string[];
  /** Set by the provider's own Check, never by the program. */
  readonly computed?: true;
}

export interface OutputField extends Field {
  readonly secret?: true;
  /** Does not change in an update, so a preview of an update shows the old value instead of unknown. */
  readonly stable?: true;
}

/** A problem with one input, shown by the engine before anything is done. */
export interface Failure {
  readonly property: string;
  /** What was found and what to do. */
  readonly reason: string;
}

/** State of a resource: checked inputs and outputs, plain, secrets unwrapped. */
export interface State<I, O> {
  readonly id: string;
  readonly inputs: I;
  readonly outputs: O;
}

export interface Checked {
  /** Values of computed inputs. */
  readonly computed?: Values;
  readonly failures?: readonly Failure[];
}

/**
 * I and O are the plain forms of inputs and outputs.
 * Every operation is idempotent: the engine repeats it after a crash, with the same or newer inputs.
 */
export interface Definition<I, O> {
  /** Class name; the type token is `sealflow:index:<name>`. */
  readonly name: string;
  readonly about: string;
  readonly inputs: { readonly [K in keyof I & string]: InputField };
  readonly outputs: { readonly [K in keyof O & string]: OutputField };
  /**
   * Checks known inputs and fills the computed ones. `news` lacks what is not known yet, which `pending` names. `olds`
   * are the inputs of the last deployment. Needs neither root nor network.
   */
  check?(
    context: Context,
    news: Partial<I>,
    olds: Partial<I> | undefined,
    pending: ReadonlySet<string>,
  ): Promise<Checked>;
  create(context: Context, inputs: I): Promise<{ id: string; outputs: O }>;
  /** A replacement lives under the old one's name, so that must go first; else the new one is deleted with it. */
  readonly deleteFirst?: true;
  /** Outputs that are known before an update, beside the stable ones. Needs neither root file nor network. */
  preview?(old: State<I, O>, inputs: I): Partial<O>;
  /** Absent: every change of an input replaces. */
  update?(context: Context, old: State<I, O>, inputs: I): Promise<O>;
  /** Outputs that a refresh found wrong and that an update would set right; each makes Diff report an update. */
  drift?(old: { inputs: Partial<I>; outputs: Partial<O> }): readonly (keyof O & string)[];
  /** Reads what can be read; undefined: it is gone. Default: the state as it is. */
  read?(context: Context, old: State<I, O>): Promise<O | undefined>;
  /** Not found is success. */
  delete(context: Context, old: State<I, O>): Promise<void>;
}

// biome-ignore lint/suspicious/noExplicitAny: one list holds definitions of different inputs and outputs
export type AnyDefinition = Definition<any, any>;
export type PlainValues = { [key: string]: Json };

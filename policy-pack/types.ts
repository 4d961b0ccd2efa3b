/** What a rule sees of a stack, apart from any policy engine: so rules are plain functions. */

/** Stands for a value that a preview cannot know yet: rules judge it in the update, and in a preview where its presence is enough. */
export const UNKNOWN = Symbol("unknown");

export interface Seen {
  /** Pulumi's type token, such as `kubernetes:batch/v1:Job`. */
  readonly type: string;
  readonly name: string;
  readonly urn: string;
  readonly props: Readonly<Record<string, unknown>>;
  /** Type tokens of the components above it, outermost first. */
  readonly parentTypes: readonly string[];
  /** URN of the component that it belongs to. */
  readonly parent?: string;
  /** Which cluster or account it goes to: URN of its provider, and what that was configured with. */
  readonly provider?: { readonly urn: string; readonly props: Readonly<Record<string, unknown>> };
}

export interface Settings {
  /** Whether the stack is one of production, see settings.ts. */
  readonly production: boolean;
}

export interface Violation {
  /** What was found, why it is refused, what to do. */
  readonly message: string;
  /** Of the resource, when it is one. */
  readonly urn?: string;
}

/** One rule: a name that never changes its meaning, and its checks. */
export interface Rule {
  readonly name: string;
  readonly description: string;
  /** What goes wrong without it. */
  readonly reason: string;
  readonly remedy: string;
  /** Of one resource, by what the program asks for. */
  check?(resource: Seen, settings: Settings): Violation[];
  /** Of the stack, by what its resources became: an input that the provider does not give back is not there. */
  checkStack?(resources: readonly Seen[], settings: Settings): Violation[];
}

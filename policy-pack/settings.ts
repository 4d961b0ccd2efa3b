/** Configuration of every rule: which stacks are production. */

/** Regular expressions for names of stacks. Default: a part of the name is `prod` or `production`, numbered or not. */
export const DEFAULT_PRODUCTION = ["(^|[-_.])prod(uction)?[0-9]*([-_.]|$)"];

export interface RuleConfig {
  /** Regular expressions, upper and lower case alike; a stack whose name matches one is production. @default DEFAULT_PRODUCTION */
  readonly production?: readonly string[];
}

export const CONFIG_SCHEMA = {
  properties: {
    production: {
      type: "array" as const,
      items: { type: "string" as const },
      description: "Regular expressions for the names of production stacks, upper and lower case alike",
    },
  },
};

/** @throws Error naming an expression that is none: a rule that silently matches nothing would be no rule. */
export function isProduction(stack: string, { production = DEFAULT_PRODUCTION }: RuleConfig): boolean {
  if (production.length === 0) throw new Error("production: the list is empty, so no stack would be production");
  return production.some((text) => {
    try {
      return new RegExp(text, "i").test(stack);
    } catch {
      throw new Error(`production: "${text}" is no regular expression`);
    }
  });
}

/** `urn:pulumi:<stack>::…` @throws Error when it is no URN. */
export function stackOf(urn: string): string {
  const stack = /^urn:pulumi:([^:]+)::/.exec(urn)?.[1];
  if (stack === undefined) throw new Error(`not a URN: ${urn}`);
  return stack;
}

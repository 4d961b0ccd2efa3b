/** Public interface of `sealflow/policy-pack`. */
export { sealflowPolicies } from "./policies";
export { RULES } from "./rules";
export { DEFAULT_PRODUCTION, type RuleConfig } from "./settings";
export type { Rule, Seen, Settings, Violation } from "./types";

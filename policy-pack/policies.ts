/** The rules as policies of Pulumi's CrossGuard. */
import type {
  PolicyResource,
  ResourceValidationArgs,
  ResourceValidationPolicy,
  StackValidationPolicy,
} from "@pulumi/policy";
import { readable } from "./readable";
import { RULES } from "./rules";
import { CONFIG_SCHEMA, isProduction, type RuleConfig, stackOf } from "./settings";
import type { Rule, Seen, Violation } from "./types";

/**
 * Every rule, mandatory, each configurable by its name: `production` (which stacks those are), `enforcementLevel`.
 * For a pack of one's own: `new PolicyPack("ours", { policies: [...sealflowPolicies(), …] })`.
 */
export const sealflowPolicies = (): (ResourceValidationPolicy | StackValidationPolicy)[] => RULES.flatMap(policiesOf);

function policiesOf(rule: Rule): (ResourceValidationPolicy | StackValidationPolicy)[] {
  const { check, checkStack } = rule;
  const about = {
    description: `${rule.description} Otherwise ${rule.reason}.`,
    remediationSteps: rule.remedy,
    enforcementLevel: "mandatory" as const,
    severity: "high" as const,
    configSchema: CONFIG_SCHEMA,
  };
  const told = ({ message }: Violation) => `${message}. Reason: ${rule.reason}. Remedy: ${rule.remedy}.`;
  return [
    ...(check === undefined
      ? []
      : [
          {
            ...about,
            name: rule.name,
            validateResource(args: ResourceValidationArgs, report: (message: string) => void) {
              for (const violation of check(seen(args), settings(args.urn, args.getConfig()))) report(told(violation));
            },
          },
        ]),
    ...(checkStack === undefined
      ? []
      : [
          {
            ...about,
            // Names are unique in a pack, and most rules look at single resources.
            name: check === undefined ? rule.name : `${rule.name}-stack`,
            validateStack(args: StackArgs, report: (message: string, urn?: string) => void) {
              const [first] = args.resources;
              if (first === undefined) return;
              const found = checkStack(args.resources.map(seen), settings(first.urn, args.getConfig()));
              for (const violation of found) report(told(violation), violation.urn);
            },
          },
        ]),
  ];
}

type StackArgs = Parameters<StackValidationPolicy["validateStack"]>[0];

const settings = (urn: string, config: RuleConfig | undefined) => ({
  production: isProduction(stackOf(urn), config ?? {}),
});

function seen({ type, name, urn, props, provider, opts }: PolicyResource | ResourceValidationArgs): Seen {
  return {
    type,
    name,
    urn,
    props: readable(props),
    parentTypes: parentTypesOf(urn),
    ...(opts.parent ? { parent: opts.parent } : {}),
    ...(provider ? { provider: { urn: provider.urn, props: readable(provider.props) } } : {}),
  };
}

/** `urn:pulumi:<stack>::<project>::<type>$<type>::<name>`: all but the last are components around it. */
const parentTypesOf = (urn: string): string[] => (urn.split("::")[2] ?? "").split("$").slice(0, -1);

/** IAM roles: of the cluster, of its nodes, of the adaptor and its controller. */
import * as iam from "@pulumi/aws/iam";
import * as pulumi from "@pulumi/pulumi";
import { ADAPTOR_NAMESPACE } from "../../policy/peer-pods";
import { childOf } from "../options";

export interface RoleScope {
  readonly name: string;
  readonly tags: Record<string, string>;
  readonly parent: pulumi.ComponentResource;
}

export interface ServiceRole {
  readonly role: iam.Role;
  /** Whoever uses the role needs these first, and last. */
  readonly policies: pulumi.Resource[];
}

const policyArn = (policy: string): string => `arn:aws:iam::aws:policy/${policy}`;

/** A role for one of AWS's services, with AWS's own policies. */
export function serviceRole(
  { name, tags, parent }: RoleScope,
  service: string,
  policies: readonly string[],
): ServiceRole {
  const statement = { Effect: "Allow", Action: ["sts:AssumeRole"], Principal: { Service: service } };
  const role = new iam.Role(name, { assumeRolePolicy: policyText([statement]), tags }, childOf(parent));
  return {
    role,
    policies: policies.map((policy) => {
      const args = { role: role.name, policyArn: policyArn(policy) };
      return new iam.RolePolicyAttachment(
        `${name}-${policy.replaceAll("_", "-").toLowerCase()}`,
        args,
        childOf(parent),
      );
    }),
  };
}

export const CLUSTER_POLICIES = ["AmazonEKSClusterPolicy"];
export const NODE_POLICIES = [
  "AmazonEKSWorkerNodePolicy",
  "AmazonEKS_CNI_Policy",
  "AmazonEC2ContainerRegistryReadOnly",
];

export interface Federation {
  readonly oidcIssuer: pulumi.Input<string>;
  readonly oidcProviderArn: pulumi.Input<string>;
}

/** A role that one service account of the cluster takes by its token (IRSA); nobody else can. */
export function accountRole(
  { name, tags, parent }: RoleScope,
  { oidcIssuer, oidcProviderArn }: Federation,
  account: string,
  statements: pulumi.Input<readonly object[]>,
): ServiceRole {
  const assumeRolePolicy = pulumi.all([oidcIssuer, oidcProviderArn]).apply(([issuer, provider]) => {
    const from = issuer.replace(/^https:\/\//, "");
    const equals = {
      [`${from}:sub`]: `system:serviceaccount:${ADAPTOR_NAMESPACE}:${account}`,
      [`${from}:aud`]: "sts.amazonaws.com",
    };
    return policyText([
      {
        Effect: "Allow",
        Action: ["sts:AssumeRoleWithWebIdentity"],
        Principal: { Federated: provider },
        Condition: { StringEquals: equals },
      },
    ]);
  });
  const role = new iam.Role(name, { assumeRolePolicy, tags }, childOf(parent));
  const policy = { role: role.name, policy: pulumi.output(statements).apply((known) => policyText(known)) };
  return { role, policies: [new iam.RolePolicy(`${name}-policy`, policy, childOf(parent))] };
}

/** The same text from the same statements. */
export const policyText = (statements: readonly object[]): string =>
  JSON.stringify({ Version: "2012-10-17", Statement: statements });

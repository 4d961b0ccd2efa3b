/** The CronWorkflows of one pipeline, and the account that opens their slots. Made only for pipelines with schedules. */
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Plan } from "../../../model";
import type { Scope } from "../../pipeline/parts";
import { guestReference } from "../../relying-party/relying-party";
import type { DeployedParts } from "../backend";
import type { ArgoSettings } from "./args";
import { EXECUTOR_ACCOUNT } from "./namespace";
import { openerName, pipelineLabels, scheduleName, templateName } from "./render/names";
import { mutable, OPENER_RULES } from "./render/rights";
import { cronWorkflow } from "./render/schedule";

/** @param labels of the pipeline's Workflows. @returns what has to be there for slots to be opened. */
export function createSchedules(
  scope: Scope,
  { version }: DeployedParts,
  { namespace, keptSeconds }: ArgoSettings,
  labels: Readonly<Record<string, string>>,
  opts: pulumi.CustomResourceOptions,
): pulumi.Resource[] {
  const { name, plan } = scope;
  if (plan.schedules.length === 0) return [];
  const stack = pulumi.getStack();
  const opener = openerName(stack, plan.name);
  const account = createOpener(`${name}-opener`, opener, namespace, plan.name, opts);
  const { ledgerUrl } = guestReference(scope.args.environment.relyingParty);
  const cronOf = ({ name: schedule, cron, lateSeconds }: Plan["schedules"][number]) => {
    const facts = { pipeline: plan.name, cron, lateSeconds, template: templateName(stack, plan.name), labels, opener };
    const spec = pulumi.all([version.scheduleTokens, ledgerUrl]).apply(([tokens, url]) =>
      cronWorkflow({
        ...facts,
        engine: EXECUTOR_ACCOUNT,
        keptSeconds,
        ledgerUrl: url,
        token: tokens[schedule] ?? "",
      }),
    );
    const metadata = {
      name: scheduleName(stack, plan.name, schedule),
      namespace,
      labels: { ...pipelineLabels(plan.name), ...labels },
    };
    return new k8s.apiextensions.CustomResource(
      `${name}-schedule-${schedule}`,
      { apiVersion: "argoproj.io/v1alpha1", kind: "CronWorkflow", metadata, spec },
      { ...opts, dependsOn: account },
    );
  };
  return plan.schedules.map(cronOf);
}

/** Argo's agent reads its token from a Secret of the account, by the name that Argo expects. */
function createOpener(
  name: string,
  object: string,
  namespace: string,
  pipeline: string,
  opts: pulumi.CustomResourceOptions,
): pulumi.Resource[] {
  const metadata = { name: object, namespace, labels: pipelineLabels(pipeline) };
  const account = new k8s.core.v1.ServiceAccount(name, { metadata, automountServiceAccountToken: false }, opts);
  const secret = new k8s.core.v1.Secret(
    `${name}-token`,
    {
      metadata: {
        ...metadata,
        name: `${object}.service-account-token`,
        annotations: { "kubernetes.io/service-account.name": object },
      },
      type: "kubernetes.io/service-account-token",
    },
    { ...opts, dependsOn: account },
  );
  const role = new k8s.rbac.v1.Role(`${name}-role`, { metadata, rules: mutable(OPENER_RULES) }, opts);
  const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: object };
  const subjects = [{ kind: "ServiceAccount", name: object, namespace }];
  const bound = { ...opts, dependsOn: role };
  const binding = new k8s.rbac.v1.RoleBinding(`${name}-rights`, { metadata, roleRef, subjects }, bound);
  return [account, secret, binding];
}

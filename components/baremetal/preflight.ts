/** The checks on hosts as a Job: one pod on each host, without any right, and what it found in its termination message. */
import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import { childOf } from "../options";
import type { PreflightArgs } from "./args";
import { type PreflightChoice, preflightScript } from "./preflight-script";

export interface PreflightScope extends PreflightChoice {
  readonly name: string;
  readonly preflight: PreflightArgs;
  /** Of nodes that are to take guests. */
  readonly nodeLabels: Readonly<Record<string, string>>;
  readonly provider: k8s.Provider | undefined;
  readonly parent: pulumi.ComponentResource;
}

/** Seconds in which all hosts must have answered. */
const PATIENCE = 300;

export function createPreflight(scope: PreflightScope): k8s.batch.v1.Job {
  const { name, preflight, nodeLabels, provider, parent } = scope;
  const labels = { "app.kubernetes.io/name": "sealflow-preflight", "app.kubernetes.io/instance": name };
  const elsewhere = { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels: labels } };
  return new k8s.batch.v1.Job(
    `${name}-preflight`,
    {
      metadata: { namespace: preflight.namespace ?? "default", labels },
      spec: {
        completions: preflight.hosts,
        parallelism: preflight.hosts,
        // A host that does not pass will not pass the next time either.
        backoffLimit: 0,
        activeDeadlineSeconds: PATIENCE,
        template: {
          metadata: { labels },
          spec: {
            restartPolicy: "Never",
            automountServiceAccountToken: false,
            enableServiceLinks: false,
            ...(Object.keys(nodeLabels).length > 0 ? { nodeSelector: { ...nodeLabels } } : {}),
            affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [elsewhere] } },
            securityContext: { runAsNonRoot: true, runAsUser: 65_534, seccompProfile: { type: "RuntimeDefault" } },
            containers: [
              {
                name: "preflight",
                image: preflight.image,
                command: ["sh", "-c", preflightScript(scope)],
                terminationMessagePolicy: "File",
                resources: { requests: { cpu: "10m", memory: "16Mi" }, limits: { cpu: "100m", memory: "64Mi" } },
                securityContext: {
                  allowPrivilegeEscalation: false,
                  readOnlyRootFilesystem: true,
                  capabilities: { drop: ["ALL"] },
                },
              },
            ],
          },
        },
      },
    },
    childOf(parent, { ...(provider ? { provider } : {}), deleteBeforeReplace: true }),
  );
}

import * as pulumi from "@pulumi/pulumi";
import type { Plan } from "../../../model";
import type { BackendReference } from "../../../resources/pipeline-version";
import type { Environment } from "../../environment";
import type { Scope } from "../../pipeline/parts";
import { isClusterPlatform } from "../../platform/cluster";
import type { Backend, DeployedParts } from "../backend";
import { type ArgoBackendArgs, type ArgoSettings, checkArgs } from "./args";
import { createNamespaceObjects } from "./namespace";
import { templateName } from "./render/names";
import { createTemplates } from "./templates";

/** Kept beside the components: a component has outputs only. */
interface Ground {
  readonly settings: ArgoSettings;
  readonly provider?: ArgoBackendArgs["provider"];
  /** What pipelines depend on. */
  readonly objects: pulumi.Resource[];
}
const grounds = new WeakMap<ArgoBackend, Ground>();

/**
 * Argo Workflows as the engine: it creates the static Job of each step in the order of the edges, and sees neither data,
 * outputs nor parameters. A workflow controller (3.7 or 4) has to watch the namespace.
 */
export class ArgoBackend extends pulumi.ComponentResource implements Backend {
  readonly kind = "argo";
  /** Namespace of the pipelines' objects. */
  readonly namespace: string;

  constructor(name: string, args: ArgoBackendArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    super("sealflow:index:ArgoBackend", name, {}, opts);
    const settings = checkArgs(name, args);
    this.namespace = settings.namespace;
    const objects = createNamespaceObjects(name, args, settings, this);
    grounds.set(this, { settings, objects, ...(args.provider ? { provider: args.provider } : {}) });
    this.registerOutputs({ namespace: this.namespace });
  }

  problems({ platform }: Environment): string[] {
    // A cluster with the simulated node has this class, too.
    if (platform.runtimeClass !== "sealflow-simulated" || isClusterPlatform(platform)) return [];
    const remedy = "Use a platform of a cluster, such as ExistingCluster";
    return [`backend "argo": the platform's guests run on this machine only. ${remedy}`];
  }

  reference(plan: Plan): BackendReference {
    return { kind: "argo", namespace: this.namespace, template: templateName(pulumi.getStack(), plan.name) };
  }

  createWorkload(scope: Scope, parts: DeployedParts): pulumi.Output<unknown> {
    const { settings, objects, provider } = grounds.get(this) as Ground;
    return createTemplates(scope, parts, settings, { dependsOn: objects, ...(provider ? { provider } : {}) });
  }
}

/** An engine for `environment({ backend })`. */
export const argoBackend = (args: ArgoBackendArgs = {}, name = "argo"): ArgoBackend => new ArgoBackend(name, args);

import * as pulumi from "@pulumi/pulumi";

export interface RuntimeReadinessArgs {
  /** Text of a kubeconfig; kept as a secret. @default the ambient one */
  kubeconfig?: pulumi.Input<string>;
  runtimeClass: pulumi.Input<string>;
  /** Labels of a node that takes guests, beside those that the runtime class selects. */
  nodeLabels: pulumi.Input<Record<string, pulumi.Input<string>>>;
  /** Extended resources that a node must offer. @default none */
  resources?: pulumi.Input<pulumi.Input<string>[]>;
  /** What was installed: another value waits anew. @default nothing */
  installed?: pulumi.Input<string>;
  /** Seconds until it gives up, with what is missing. 0 to 7200. @default 1200 */
  timeoutSeconds?: pulumi.Input<number>;
}

/** Waits until a cluster has a runtime class and a node that can take it. Nothing is made; `refresh` looks again. */
export class RuntimeReadiness extends pulumi.CustomResource {
  /** Handler of the runtime class. */
  declare readonly handler: pulumi.Output<string>;

  constructor(name: string, args: RuntimeReadinessArgs, opts?: pulumi.CustomResourceOptions) {
    const kubeconfig = args.kubeconfig === undefined ? {} : { kubeconfig: pulumi.secret(args.kubeconfig) };
    super("sealflow:index:RuntimeReadiness", name, { handler: undefined, ...args, ...kubeconfig }, opts);
  }
}

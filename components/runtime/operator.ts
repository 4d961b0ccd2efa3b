import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import { installDigest, type KubernetesObject, operatorObjects } from "../../policy/runtime";
import { childOf } from "../options";
import type { Installed, InstallScope } from "./installer";

/** Definitions first, then the operator, then what it acts on: deleted in reverse, so that the operator still undoes it. */
export function installOperator({ name, args, parent, provider }: InstallScope): Installed {
  const { platform, requirementsImage = "" } = args;
  const objects = operatorObjects({ runtimeClasses: [platform.runtimeClass], requirementsImage });
  const on = (dependsOn: pulumi.Resource[]) =>
    childOf(parent as pulumi.ComponentResource, { dependsOn, ...(provider ? { provider } : {}) });
  const before = [...platform.before];
  const crd = new k8s.apiextensions.v1.CustomResourceDefinition(`${name}-crd`, plain(objects.crd), on(before));
  const [space, ...rest] = objects.operator;
  const namespace = new k8s.core.v1.Namespace(`${name}-namespace`, plain(space), on(before));
  const operator = rest.map((object) => create(name, object, on([namespace, crd])));
  const runtime = new k8s.apiextensions.CustomResource(
    `${name}-ccruntime`,
    plain(objects.runtime),
    on([crd, ...operator]),
  );
  return { resources: [runtime], config: installDigest(objects.runtime) };
}

function create(name: string, object: KubernetesObject, opts: pulumi.CustomResourceOptions): pulumi.Resource {
  const called = `${name}-${object.metadata.name.replace(/^cc-operator-/, "")}`;
  const { rbac, core, apps } = k8s;
  switch (object.kind) {
    case "ServiceAccount":
      return new core.v1.ServiceAccount(`${called}-account`, plain(object), opts);
    case "Role":
      return new rbac.v1.Role(called, plain(object), opts);
    case "RoleBinding":
      return new rbac.v1.RoleBinding(`${called}-binding`, plain(object), opts);
    case "ClusterRole":
      return new rbac.v1.ClusterRole(called, plain(object), opts);
    case "ClusterRoleBinding":
      return new rbac.v1.ClusterRoleBinding(`${called}-binding`, plain(object), opts);
    default:
      return new apps.v1.Deployment(called, plain(object), opts);
  }
}

/** The builders' objects are plain data of the right shape; the API server checks them strictly. */
// biome-ignore lint/suspicious/noExplicitAny: typed by each resource's own arguments, which differ
const plain = (object: KubernetesObject | undefined): any => object;

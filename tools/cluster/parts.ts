/** The parts of a control plane: argument lists and readiness. Everything listens on loopback; secrets are in files. */
import { join } from "node:path";
import type { Program } from "./binaries";

export type Part = "etcd" | "kube-apiserver" | "kube-controller-manager" | "kube-scheduler" | "workflow-controller";

/** In the order in which they start; they end in the opposite one. */
export const PARTS: readonly Part[] = [
  "etcd",
  "kube-apiserver",
  "kube-controller-manager",
  "kube-scheduler",
  "workflow-controller",
];

export interface Ports {
  readonly etcd: number;
  readonly etcdPeer: number;
  readonly apiserver: number;
  readonly controllers: number;
  readonly scheduler: number;
}

/** What the keeper runs. */
export interface Plan {
  readonly dir: string;
  readonly ports: Ports;
  readonly programs: Readonly<Partial<Record<Program, string>>>;
  readonly parts: readonly Part[];
  /** Namespace of the workflow controller's own objects. */
  readonly argoNamespace: string;
  /** Ends, and removes `dir`, when its standard input does: for tests, whose process may be killed. */
  readonly leashed: boolean;
}

export const kubeconfigOf = (dir: string, user: string): string => join(dir, `${user}.kubeconfig`);
/** CA of the API server and of the kubelet API. */
export const caOf = (dir: string): string => join(dir, "certs", "ca.crt");

export function argumentsOf(part: Part, { dir, ports, argoNamespace }: Plan): string[] {
  const at = (port: number) => `http://127.0.0.1:${port}`;
  /** Folder for a part's own certificate, which nobody asks for but its health check. */
  const certs = `--cert-dir=${join(dir, "certs", part)}`;
  const cert = (name: string) => join(dir, "certs", name);
  switch (part) {
    case "etcd":
      return [
        `--data-dir=${join(dir, "etcd")}`,
        `--listen-client-urls=${at(ports.etcd)}`,
        `--advertise-client-urls=${at(ports.etcd)}`,
        `--listen-peer-urls=${at(ports.etcdPeer)}`,
        `--initial-advertise-peer-urls=${at(ports.etcdPeer)}`,
        `--initial-cluster=default=${at(ports.etcdPeer)}`,
        // The cluster is thrown away, so nothing has to reach the disk.
        "--unsafe-no-fsync",
        "--log-level=warn",
      ];
    case "kube-apiserver":
      return [
        `--etcd-servers=${at(ports.etcd)}`,
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        `--secure-port=${ports.apiserver}`,
        `--tls-cert-file=${cert("apiserver.crt")}`,
        `--tls-private-key-file=${cert("apiserver.key")}`,
        "--allow-privileged=true",
        "--authorization-mode=Node,RBAC",
        "--anonymous-auth=false",
        "--enable-admission-plugins=NodeRestriction",
        `--token-auth-file=${join(dir, "tokens.csv")}`,
        "--service-account-issuer=https://kubernetes.default.svc",
        `--service-account-key-file=${join(dir, "sa.pub")}`,
        `--service-account-signing-key-file=${join(dir, "sa.key")}`,
        "--service-cluster-ip-range=10.96.0.0/16",
        // There is no network in which pods could reach a Service.
        "--endpoint-reconciler-type=none",
        "--kubelet-preferred-address-types=InternalIP",
        `--kubelet-certificate-authority=${caOf(dir)}`,
        `--kubelet-client-certificate=${cert("kubelet-client.crt")}`,
        `--kubelet-client-key=${cert("kubelet-client.key")}`,
      ];
    case "kube-controller-manager":
      return [
        `--kubeconfig=${kubeconfigOf(dir, "controller-manager")}`,
        `--service-account-private-key-file=${join(dir, "sa.key")}`,
        `--root-ca-file=${caOf(dir)}`,
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        `--secure-port=${ports.controllers}`,
        certs,
        "--controllers=*,-bootstrap-signer-controller,-token-cleaner-controller",
      ];
    case "kube-scheduler":
      return [
        `--kubeconfig=${kubeconfigOf(dir, "scheduler")}`,
        `--authentication-kubeconfig=${kubeconfigOf(dir, "scheduler")}`,
        `--authorization-kubeconfig=${kubeconfigOf(dir, "scheduler")}`,
        "--authentication-tolerate-lookup-failure=true",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        `--secure-port=${ports.scheduler}`,
        certs,
      ];
    case "workflow-controller":
      return [
        `--kubeconfig=${kubeconfigOf(dir, "workflow-controller")}`,
        `--namespace=${argoNamespace}`,
        "--executor-image=argoexec:local",
      ];
  }
}

/** Beside the little that every program gets. */
export function environmentOf(part: Part): NodeJS.ProcessEnv {
  // One controller, and a person or a test that waits: look again soon.
  if (part !== "workflow-controller") return {};
  return { LEADER_ELECTION_DISABLE: "true", DEFAULT_REQUEUE_TIME: "300ms" };
}

/** URL that answers 200 when the part is ready; undefined: ready when it runs. */
export function readinessOf(part: Part, { ports }: Plan): string | undefined {
  if (part === "etcd") return `http://127.0.0.1:${ports.etcd}/health`;
  if (part === "kube-apiserver") return `https://127.0.0.1:${ports.apiserver}/readyz`;
  return undefined;
}

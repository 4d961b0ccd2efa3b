/**
 * What nodes are told at boot (nodeadm of EKS's Amazon Linux 2023 images). Managed node groups refuse labels with an empty
 * value, so the kubelet sets the adaptor's label itself; and containerd keeps the layers that it has unpacked, because
 * guests pull images through them. Source: awslabs/amazon-eks-ami, nodeadm/doc.
 */
import { WORKER_LABELS } from "../platform/peer-pods";

export interface NodeConfig {
  /** Labels that the kubelet sets. */
  readonly labels: Readonly<Record<string, string>>;
  readonly keepsLayers: boolean;
  /** For self-managed nodes only; EKS tells its own. */
  readonly cluster?: {
    readonly name: string;
    readonly apiServerEndpoint: string;
    readonly certificateAuthority: string;
    readonly cidr: string;
  };
}

export const WORKER_NODE: NodeConfig = { labels: WORKER_LABELS, keepsLayers: true };

/** The option's table in containerd 1 and in containerd 2; each reads its own. */
const KEEP_LAYERS = ['io.containerd.grpc.v1.cri".containerd', 'io.containerd.cri.v1.images"']
  .map((table) => `[plugins."${table}]\ndiscard_unpacked_layers = false\n`)
  .join("\n");

/** @returns base64, as launch templates take it. JSON is YAML. */
export function userDataOf({ labels, keepsLayers, cluster }: NodeConfig): string {
  const flag = `--node-labels=${Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(",")}`;
  const config = {
    apiVersion: "node.eks.aws/v1alpha1",
    kind: "NodeConfig",
    spec: {
      ...(cluster ? { cluster } : {}),
      kubelet: { flags: [flag] },
      ...(keepsLayers ? { containerd: { config: KEEP_LAYERS } } : {}),
    },
  };
  const part = `--NODE\r\nContent-Type: application/node.eks.aws\r\n\r\n${JSON.stringify(config, null, 2)}\r\n--NODE--\r\n`;
  const mime = `MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="NODE"\r\n\r\n${part}`;
  return Buffer.from(mime).toString("base64");
}

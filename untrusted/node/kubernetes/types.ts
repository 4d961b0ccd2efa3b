/** The parts of Kubernetes' objects that the node reads. What the server sends is checked by the server. */
import type { PodContainer, PodManifest } from "../../../policy";

export interface KeyToPath {
  readonly key: string;
  readonly path: string;
}
export interface FieldRef {
  readonly fieldPath: string;
}
interface Optional {
  readonly optional?: boolean;
}

export interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: {
    readonly fieldRef?: FieldRef;
    readonly resourceFieldRef?: { readonly resource: string };
    readonly configMapKeyRef?: { readonly name: string; readonly key: string } & Optional;
    readonly secretKeyRef?: { readonly name: string; readonly key: string } & Optional;
  };
}

export interface Container extends Omit<PodContainer, "env"> {
  readonly env?: readonly EnvVar[];
  readonly envFrom?: readonly {
    readonly prefix?: string;
    readonly configMapRef?: { readonly name: string } & Optional;
    readonly secretRef?: { readonly name: string } & Optional;
  }[];
  readonly terminationMessagePath?: string;
  readonly readinessProbe?: {
    readonly httpGet?: { readonly path?: string; readonly port: number; readonly scheme?: string };
  };
}

export interface VolumeSource {
  readonly configMap?: { readonly name: string; readonly items?: readonly KeyToPath[] } & Optional;
  readonly secret?: {
    readonly secretName?: string;
    readonly name?: string;
    readonly items?: readonly KeyToPath[];
  } & Optional;
  readonly downwardAPI?: { readonly items: readonly { readonly path: string; readonly fieldRef?: FieldRef }[] };
  readonly serviceAccountToken?: {
    readonly path: string;
    readonly audience?: string;
    readonly expirationSeconds?: number;
  };
  readonly emptyDir?: { readonly medium?: string };
}
export interface Volume extends VolumeSource {
  readonly name: string;
  readonly projected?: { readonly sources: readonly VolumeSource[] };
}

export interface Pod {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
    readonly deletionGracePeriodSeconds?: number;
  };
  readonly spec: {
    readonly runtimeClassName?: string;
    readonly serviceAccountName?: string;
    readonly restartPolicy?: "Always" | "OnFailure" | "Never";
    readonly activeDeadlineSeconds?: number;
    readonly initContainers?: readonly Container[];
    readonly containers: readonly Container[];
    readonly volumes?: readonly Volume[];
    readonly shareProcessNamespace?: boolean;
    readonly hostname?: string;
    readonly securityContext?: PodManifest["securityContext"];
  };
  readonly status: { readonly phase?: string };
}

export type ContainerState =
  | { readonly waiting: { readonly reason: string; readonly message?: string } }
  | { readonly running: { readonly startedAt: string } }
  | {
      readonly terminated: {
        readonly exitCode: number;
        readonly reason: string;
        readonly message?: string;
        readonly startedAt: string;
        readonly finishedAt: string;
      };
    };

/** What whoever may write Jobs can change in a step's, and the reason in which its pod ends. */
import {
  algorithmOf,
  INITDATA_ANNOTATION,
  parseInitdata,
  parseInitdataAnnotation,
  renderInitdata,
} from "../../../policy";
import { annotationOf } from "../../../policy/initdata/document";

// biome-ignore lint/suspicious/noExplicitAny: attackers write what no type allows
export type Loose = any;
/** @param spec of the pod. @param template of the pod. @param container the step's. */
export type Edit = (spec: Loose, template: Loose, container: Loose) => void;

/** Runtime class whose handler is containerd's ordinary one. */
export const PLAIN_CLASS = "plain";
export const EVIL_CONFIG = "evil";

const mountOver =
  (volume: object, mountPath: string): Edit =>
  (spec, _template, container) => {
    spec.volumes.push({ name: "added", ...volume });
    container.volumeMounts.push({ name: "added", mountPath });
  };
const environment =
  (name: string, value: string): Edit =>
  (_spec, _template, container) =>
    container.env.push({ name, value });
const container =
  (change: (container: Loose) => object): Edit =>
  (_spec, _template, own) =>
    Object.assign(own, change(own));
/** Another policy, in the deterministic form of initdata. */
const policy =
  (change: (text: string) => string): Edit =>
  (_spec, template) => {
    const annotations = template.metadata.annotations;
    const { data } = parseInitdata(parseInitdataAnnotation(annotations[INITDATA_ANNOTATION]));
    const changed = { ...data, "policy.rego": change(data["policy.rego"] ?? "") };
    annotations[INITDATA_ANNOTATION] = annotationOf(
      renderInitdata({ algorithm: algorithmOf("sample"), data: changed }),
    );
  };
const elsewhere = (own: Loose) =>
  own.env.map((entry: Loose) =>
    entry.name === "SEALFLOW_RESOURCE"
      ? { ...entry, value: entry.value.replace(/[0-9a-f]{64}$/, "0".repeat(64)) }
      : entry,
  );

/** Number in `sealflow attack --list`, what is changed, the reason. */
export const JOB_ATTACKS: readonly (readonly [number, string, string, Edit])[] = [
  [5, "a volume in guest memory over its root", "POLICY", mountOver({ emptyDir: { medium: "Memory" } }, "/")],
  [5, "a folder of the host over the runner", "POLICY", mountOver({ hostPath: { path: "/" } }, "/sealflow")],
  [6, "a ConfigMap over the owner's key", "POLICY", mountOver({ configMap: { name: EVIL_CONFIG } }, "/sealflow-owner")],
  [6, "code by LD_PRELOAD", "POLICY", environment("LD_PRELOAD", "/app/x.so")],
  [6, "code by NODE_OPTIONS", "POLICY", environment("NODE_OPTIONS", "--require /app/x.js")],
  [6, "a service account's token", "POLICY", (spec) => Object.assign(spec, { automountServiceAccountToken: true })],
  [
    7,
    "a hook after its start",
    "POLICY",
    container(() => ({ lifecycle: { postStart: { exec: { command: ["/bin/sh"] } } } })),
  ],
  [8, "one environment variable more", "POLICY", environment("DEBUG", "1")],
  [8, "an argument more", "POLICY", container(({ command }) => ({ command: [...command, "--inspect=0.0.0.0"] }))],
  [8, "a sidecar before it", "POLICY", (spec, _template, own) => spec.containers.unshift({ ...own, name: "spy" })],
  [
    8,
    "an init container",
    "POLICY",
    (spec, _t, own) => Object.assign(spec, { initContainers: [{ ...own, name: "early" }] }),
  ],
  [8, "a shared process namespace", "POLICY", (spec) => Object.assign(spec, { shareProcessNamespace: true })],
  [
    8,
    "privileges",
    "POLICY",
    container(({ securityContext }) => ({ securityContext: { ...securityContext, privileged: true } })),
  ],
  [9, "no initdata", "INITDATA", (_spec, template) => Object.assign(template.metadata, { annotations: {} })],
  [
    9,
    "a policy that is none of ours",
    "INITDATA",
    policy(() => "package agent_policy\ndefault AllowRequestsFailingPolicy := true\n"),
  ],
  [
    9,
    "a policy that lets the host read logs",
    "KEY_DENIED",
    policy((text) => text.replace('"debug":false', '"debug":true')),
  ],
  [10, "no runtime class", "ErrImagePull", (spec) => Object.assign(spec, { runtimeClassName: undefined })],
  [
    10,
    "a runtime class of plain containers",
    "ErrImagePull",
    (spec) => Object.assign(spec, { runtimeClassName: PLAIN_CLASS }),
  ],
  [15, "another step's name for its keys", "POLICY", container((own) => ({ env: elsewhere(own) }))],
];

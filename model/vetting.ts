/**
 * Which features of pipeline platforms hold up when nobody but the guest may be trusted: kept, modified or refused, each
 * with the reason. validateSpec enforces it: a spec that asks for a feature by one of its usual names (`asks`) gets the
 * reason and the safe form instead of "no such field".
 */

export type Verdict = "kept" | "modified" | "refused";

export interface VettedFeature {
  readonly feature: string;
  readonly verdict: Verdict;
  /** What goes wrong in the usual form; for kept features, what makes it hold. */
  readonly reason: string;
  /** The safe form and where it is written. */
  readonly instead: string;
  /** Whether this version has the safe form. */
  readonly available: boolean;
  /** Field names by which specs of this and other platforms ask for the refused form. */
  readonly asks: { readonly pipeline?: readonly string[]; readonly step?: readonly string[] };
}

export const VETTING: readonly VettedFeature[] = [
  {
    feature: "typed parameters",
    verdict: "kept",
    reason:
      "fixed per run inside the signed run request, encrypted to each step; nothing interpolates them into a command",
    instead:
      "`parameters` of a step for defaults, `sealflow run --params <file>` for a run, `/sealflow/params.json` in the program",
    available: true,
    asks: { pipeline: ["parameters", "params", "arguments"], step: ["params", "arguments", "withParam"] },
  },
  {
    feature: "conditions on data",
    verdict: "modified",
    reason: "which branch ran is visible to the operator, so it tells one bit about the data",
    instead:
      '`when: { from: gate.go, equals: true }` on an output that says `declassify: "<reason>"`; or decide inside a step, which writes an output either way',
    available: true,
    asks: { pipeline: ["conditions"], step: ["if", "condition", "conditions", "depends", "skipIf"] },
  },
  {
    feature: "dynamic fan-out",
    verdict: "modified",
    reason: "how many copies ran tells a size of the data, and the control plane would choose it",
    instead: "a fixed `shards: N` (1 to 1000); copies without work write empty outputs",
    available: true,
    asks: {
      step: [
        "withItems",
        "withSequence",
        "foreach",
        "matrix",
        "map",
        "parallelFor",
        "maxShards",
        "dynamic",
        "loop",
        "items",
        "replicas",
      ],
    },
  },
  {
    feature: "retries",
    verdict: "kept",
    reason: "the attempt's number is part of key and associated data, and one commit per step and shard counts",
    instead: "`retry: { limit, backoff, factor, maxBackoff }`",
    available: true,
    asks: { step: ["retries", "retryStrategy", "maxRetries"] },
  },
  {
    feature: "timeouts",
    verdict: "kept",
    reason: "the runner enforces it inside the guest, so no host clock is involved",
    instead: '`timeout: "30m"`',
    available: true,
    asks: { step: ["timeoutSeconds", "activeDeadlineSeconds", "deadline"] },
  },
  {
    feature: "step cache",
    verdict: "modified",
    reason: "a cache outside the guest can name another result as the hit, and a hit tells that two inputs are equal",
    instead: "run the step; a cache of attested receipts, switched on by the owner, will come later",
    available: false,
    asks: { pipeline: ["cache", "caching"], step: ["cache", "caching", "memoize", "enableCache", "cacheKey"] },
  },
  {
    feature: "oblivious conditions",
    verdict: "modified",
    reason: "running both branches hides the bit only when sizes and times are padded as well, which is not built yet",
    instead: "decide inside a step",
    available: false,
    asks: { step: ["oblivious", "obliviousWhen", "padding"] },
  },
  {
    feature: "exit handlers and notifications",
    verdict: "modified",
    reason: "a message made from step data leaves the guest in plain text",
    instead: "`sealflow status --json` and the ledger's events carry states only",
    available: true,
    asks: {
      pipeline: ["onExit", "exitHandler", "notify", "notifications", "hooks", "finally"],
      step: ["onExit", "hooks"],
    },
  },
  {
    feature: "secrets of the cluster",
    verdict: "refused",
    reason: "the control plane can read and exchange them",
    instead: "keys and parameters reach the guest encrypted: use parameters, or a KbsResource",
    available: true,
    asks: { pipeline: ["secrets"], step: ["secrets", "secret", "envFrom", "secretRef", "imagePullSecrets"] },
  },
  {
    feature: "logs",
    verdict: "modified",
    reason: "reading a container's streams from outside is denied by the agent policy",
    instead: "the runner uploads the log encrypted to the owner: `sealflow logs`",
    available: true,
    asks: { pipeline: ["archiveLogs"], step: ["logs", "logging", "stdout", "stderr", "archiveLogs"] },
  },
  {
    feature: "metrics in a dashboard",
    verdict: "modified",
    reason: "a number computed from private data is private data",
    instead: "write metrics to an output and release it",
    available: true,
    asks: { pipeline: ["metrics"], step: ["metrics", "dashboard", "visualization"] },
  },
  {
    feature: "exec and debug pause",
    verdict: "refused",
    reason: "whoever reaches the API server would get a shell beside the data",
    instead: "reproduce the step on the `local` platform, or read its log",
    available: true,
    asks: { step: ["debug", "debugPause", "exec", "stdin", "tty", "interactive"] },
  },
  {
    feature: "sidecars and init containers",
    verdict: "refused",
    reason: "neither their presence nor their order can be enforced from inside",
    instead: "do it in the step's program, or in a step of its own",
    available: true,
    asks: { step: ["sidecars", "sidecar", "initContainers", "containers", "services", "podSpecPatch", "podTemplate"] },
  },
  {
    feature: "volumes of the cluster",
    verdict: "refused",
    reason:
      "the host reads, changes and rolls back what is on them; subPath, hostPath and image volumes break policies",
    instead: "inputs and outputs are encrypted edges; scratch space is guest memory",
    available: true,
    asks: {
      pipeline: ["volumes"],
      step: [
        "volumes",
        "volumeMounts",
        "mounts",
        "workspace",
        "workspaces",
        "pvc",
        "volumeClaimTemplates",
        "subPath",
        "hostPath",
      ],
    },
  },
  {
    feature: "downward API and cluster identity",
    verdict: "refused",
    reason: "the host chooses what it says",
    instead: "`SEALFLOW_SHARD` and `SEALFLOW_SHARDS`, set by the runner after the ledger assigned them",
    available: true,
    asks: { step: ["serviceAccountName", "serviceAccount", "fieldRef", "downwardAPI"] },
  },
  {
    feature: "results in the termination message",
    verdict: "refused",
    reason: "they are stored in plain text in the control plane's database",
    instead: "write an output",
    available: true,
    asks: { step: ["results", "terminationMessagePath", "terminationMessage"] },
  },
  {
    feature: "privileged programs",
    verdict: "refused",
    reason: "the program is kept apart from keys and other inputs by the runner; privileges would undo that",
    instead: '`trustProgram: "<reason>"` where isolation cannot be had',
    available: true,
    asks: { step: ["privileged", "capabilities", "securityContext", "user", "runAsUser", "devices"] },
  },
  {
    feature: "GPU attestation",
    verdict: "modified",
    reason: "a GPU that was not attested together with the guest may be a different one",
    instead: "CPU steps; GPUs come with their attestation later",
    available: false,
    asks: { step: ["gpu", "gpus", "accelerator", "accelerators", "acceleratorType", "resourceClaims"] },
  },
  {
    feature: "schedules",
    verdict: "modified",
    reason: "whoever may start runs may multiply them, so each slot must be signed by the owner beforehand",
    instead:
      '`schedules: { nightly: "30 3 * * *" }` (UTC), signed by `up`: a slot opens one run, not before its time and, with `late: "2h"`, not long after; `sealflow schedules` shows and opens them',
    available: true,
    asks: {
      pipeline: [
        "schedule",
        "cron",
        "trigger",
        "triggers",
        "events",
        "webhook",
        "recurring",
        "startingDeadlineSeconds",
      ],
    },
  },
  {
    feature: "predefined components",
    verdict: "modified",
    reason: "a component that someone else may change afterwards runs beside your data",
    instead:
      "a step from an image that is pinned by digest when it is sealed; its command, edges and egress are in its identity",
    available: true,
    asks: {
      pipeline: ["components", "workflowTemplateRef"],
      step: ["uses", "component", "componentRef", "templateRef", "taskRef", "template"],
    },
  },
  {
    feature: "scripts interpolated by the engine",
    verdict: "refused",
    reason: "the control plane would write the program",
    instead: "put the program into the image and name it in command",
    available: true,
    asks: { step: ["script", "source", "shell", "inlineScript"] },
  },
  {
    feature: "nested pipelines",
    verdict: "modified",
    reason: "a pipeline is one owner-signed descriptor; another pipeline's result has its own receipts",
    instead:
      "write the steps with a function that takes the pipeline; or release there and read it here with `fromStack`",
    available: true,
    asks: { step: ["pipeline", "subPipeline", "workflow", "dag"] },
  },
  {
    feature: "artifacts and artifact repositories",
    verdict: "modified",
    reason: "whoever owns the bucket reads them, exchanges them and decides which version a step gets",
    instead:
      "`inputs` and `outputs` with a format: sealed objects that the ledger names; data from outside is a dataset of the pipeline",
    available: true,
    asks: {
      pipeline: ["artifacts", "artifactRepository", "artifactRepositoryRef"],
      step: ["artifacts", "importer", "archiveLocation", "s3", "gcs", "oss", "git", "http", "data"],
    },
  },
  {
    feature: "lineage and metadata stores",
    verdict: "modified",
    reason: "a database beside the engine says what its operator wants it to say",
    instead: "receipts, signed in the guests and checked offline: `sealflow verify`",
    available: true,
    asks: { pipeline: ["lineage", "metadata", "experiment"], step: ["lineage", "metadata"] },
  },
  {
    feature: "labels and annotations",
    verdict: "refused",
    reason: "everybody on the cluster reads and changes them, and runtimes take settings of a guest from annotations",
    instead:
      "objects carry `app.kubernetes.io/part-of` and `…/component`, and Workflows `sealflow/run`: select by these",
    available: true,
    asks: { pipeline: ["labels", "annotations"], step: ["labels", "annotations", "podLabels", "podAnnotations"] },
  },
  {
    feature: "choice of nodes, queue and priority",
    verdict: "refused",
    reason:
      "where and when a pod runs is the control plane's decision whatever a pipeline asks for; only evidence says what it runs on",
    instead:
      "the platform's runtime class leads to nodes that can take it; the cluster's administrators set priorities, quotas and queues on the namespace",
    available: true,
    asks: {
      pipeline: ["nodeSelector", "affinity", "tolerations", "schedulerName", "priority", "priorityClassName"],
      step: [
        "nodeSelector",
        "affinity",
        "tolerations",
        "schedulerName",
        "priority",
        "priorityClassName",
        "queue",
        "runtimeClassName",
        "topologySpreadConstraints",
      ],
    },
  },
  {
    feature: "limits on how much runs at once",
    verdict: "modified",
    reason: "an engine that ignores a lock or a limit is not noticed, so nothing may rest on it but load",
    instead: "`argoBackend({ parallelism })`; what must happen once is counted by the ledger, for every step and shard",
    available: true,
    asks: {
      pipeline: ["parallelism", "synchronization", "mutex", "semaphore", "concurrency"],
      step: ["parallelism", "synchronization", "mutex", "semaphore", "concurrency"],
    },
  },
  {
    feature: "approvals and suspended steps",
    verdict: "refused",
    reason: "whoever has the API server resumes a suspended step, or starts the next one beside it",
    instead:
      "two pipelines: the second reads the first one's release (`fromStack`), and whoever approves opens its run",
    available: true,
    asks: { pipeline: ["suspend", "approval"], step: ["suspend", "approval", "manual"] },
  },
  {
    feature: "steps that serve others while they run",
    verdict: "refused",
    reason: "what passes between running pods has no receipt, and the host chooses who is at the other end",
    instead: "a step ends, and what it made is an output",
    available: true,
    asks: { step: ["daemon", "ports", "hostNetwork", "hostAliases", "dnsConfig", "dnsPolicy"] },
  },
  {
    feature: "probes and container hooks",
    verdict: "refused",
    reason: "they are commands that the host runs in a container, which the agent policy denies",
    instead: "`timeout` ends a program that hangs",
    available: true,
    asks: { step: ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "postStart", "preStop"] },
  },
  {
    feature: "going on after a failure",
    verdict: "refused",
    reason: "a run with a step that failed would be told from a whole one by the engine alone",
    instead:
      "a step without attempts left ends the run; a program that can cope ends with 0 and writes an output that says so",
    available: true,
    asks: { pipeline: ["failFast"], step: ["continueOn", "ignoreFailure", "continueOnError", "failFast", "optional"] },
  },
  {
    feature: "retention and garbage collection",
    verdict: "modified",
    reason: "an object that its store says is deleted may still be there; a key that is gone cannot be used",
    instead:
      "the run secret goes at the run's expiry (`retentionSeconds` of EncryptedStorage); `keptSeconds` of `argoBackend` for finished Workflows",
    available: true,
    asks: {
      pipeline: ["ttlStrategy", "ttl", "podGC", "artifactGC", "retention"],
      step: ["ttlSecondsAfterFinished", "podGC", "artifactGC"],
    },
  },
  {
    feature: "engine plugins and other kinds of steps",
    verdict: "refused",
    reason: "they run in the control plane, outside of every guest, on whatever they are given",
    instead: "a program in a step's image",
    available: true,
    asks: { step: ["plugin", "resourceTemplate", "containerSet", "executor", "customJob"] },
  },
];

const byField = {
  pipeline: index("pipeline"),
  step: index("step"),
};

function index(level: "pipeline" | "step"): ReadonlyMap<string, VettedFeature> {
  return new Map(VETTING.flatMap((row) => (row.asks[level] ?? []).map((field) => [field, row] as const)));
}

/** The row that a field asks for; undefined: nobody knows such a field. */
export const vettedField = (level: "pipeline" | "step", field: string): VettedFeature | undefined =>
  byField[level].get(field);

/** What a refusal says, without the place. */
export function refusalText(field: string, row: VettedFeature): string {
  const known = row.verdict === "kept" ? "is written differently here" : "is refused";
  return `"${field}" (${row.feature}) ${known}: ${row.reason}. Instead: ${row.instead}`;
}

/** From a preview to what it changes for whom. */
import { waived } from "../../model/waivers";
import { type FieldChange, fieldChanges, placesOf, SECRET, UNKNOWN } from "./fields";
import { isValues, type Preview, type PreviewStep, type Values } from "./preview";

/** In the order in which a reviewer should read them. */
export const AREAS = {
  hidden: "What this review cannot show",
  waivers: "Protections turned off or on",
  keys: "The owner's keys",
  broker: "What the key broker trusts",
  identities: "Who gets keys: identities of steps",
  access: "Who may read releases and start runs",
  code: "Code that the deployment runs beside the root secret",
  images: "Images",
  data: "Datasets",
  platform: "Where steps run",
  other: "Other resources of Sealflow",
  parties: "Parts of the key broker's and the ledger's deployment",
  others: "Resources of other packages",
} as const;
export type Area = keyof typeof AREAS;

export interface TrustChange {
  readonly area: Area;
  readonly op: PreviewStep["op"];
  /** `spam-count` or `spam-count: trustProgram`. */
  readonly subject: string;
  /** One sentence about the consequence. */
  readonly means: string;
  readonly fields: readonly FieldChange[];
}

export interface TrustDiff {
  readonly changes: readonly TrustChange[];
  readonly unchanged: number;
  /** Unchanged by the engine's word and not in the preview: their inputs were not compared. */
  readonly unseen: number;
  readonly errors: readonly string[];
}

interface Kind {
  readonly area: Area;
  readonly means: Readonly<Record<PreviewStep["op"], string>>;
}

/** The root is a secret; digests of plain content would confirm guesses about it to whoever reads the comment. */
const UNTOLD = ["keys.root", "sourceDigest"];

const every = (text: string): Kind["means"] => ({ create: text, update: text, replace: text, delete: text });

const KINDS: Readonly<Record<string, Kind>> = {
  PipelineKeys: {
    area: "keys",
    means: {
      create: "a new pipeline with keys of its own",
      update: "the same keys",
      replace: "NEW KEYS: what was sealed before opens only with the old ones",
      delete: "the keys leave the state: without a backup, what was sealed is lost",
    },
  },
  StepIdentity: {
    area: "identities",
    means: {
      create: "a new guest gets keys",
      update: "the same guest",
      replace: "another guest gets keys; the one before gets none any more",
      delete: "a guest gets no keys any more",
    },
  },
  PipelineVersion: { area: "access", means: every("the pipeline's version") },
  SealedImage: {
    area: "images",
    means: {
      create: "a new image",
      update: "the same image",
      replace: "other content: every step that runs it becomes another identity",
      delete: "an image goes",
    },
  },
  SealedDataset: {
    area: "data",
    means: { create: "new data", update: "the same data", replace: "other data", delete: "data goes" },
  },
  KbsPolicy: { area: "broker", means: every("who may get any key of this broker") },
  KbsReferenceValue: { area: "broker", means: every("what the broker takes for good hardware and guests") },
  ReferenceValues: { area: "broker", means: every("what the broker takes for good hardware and guests") },
  KbsResource: { area: "broker", means: every("a resource of the key broker") },
};

const SEALFLOW = /^sealflow:\w+:(\w+)$/;
const PLATFORM = /Platform$|PeerPods$|NodePool$|NodeGroup$|^BareMetal$|Cluster$/;
/** Resources that are programs: plugins of other places, commands, dynamic providers. */
const CODE = /^pulumi:providers:|^command:|^pulumi-(nodejs|python):dynamic|^terraform:|^external:/;
/** Parents whose children are the key broker and the ledger themselves. */
const PARTY = /\$?sealflow:\w+:(Trustee|RunLedger|RelyingParty|CloudNativePg|EncryptedStorage)\$/;

export function trustDiff({ steps, unchanged, unseen, errors }: Preview): TrustDiff {
  const twice = new Set(steps.map(kindAndName).filter((key, i, all) => all.indexOf(key) !== i));
  const replaced = replacedSteps(steps);
  const changes: TrustChange[] = [];
  for (const found of steps) {
    // Two of one name are told apart by where they stand.
    const step = twice.has(kindAndName(found)) ? { ...found, name: `${found.name} (${found.urn})` } : found;
    const kind = SEALFLOW.exec(step.type)?.[1];
    changes.push(...optionChanges(step));
    if (kind === undefined) changes.push(...otherChange(step));
    else changes.push(...hiddenChanges(step, kind), ...waiverChanges(step), ...changeOf(step, kind, replaced));
  }
  const order = Object.keys(AREAS);
  changes.sort((a, b) => order.indexOf(a.area) - order.indexOf(b.area) || (a.subject < b.subject ? -1 : 1));
  return { changes, unchanged, unseen, errors };
}

const kindAndName = ({ type, name, op }: PreviewStep): string => `${op} ${type} ${name}`;

/** Steps of pipelines whose identity is told: what the version then takes from it is not known before the deployment. */
function replacedSteps(steps: readonly PreviewStep[]): ReadonlySet<string> {
  const made = steps.filter(({ type, op }) => SEALFLOW.exec(type)?.[1] === "StepIdentity" && op !== "delete");
  return new Set(made.map(({ after }) => String(after.step)));
}

function changeOf(step: PreviewStep, kind: string, replaced: ReadonlySet<string>): TrustChange[] {
  const { area, means } = KINDS[kind] ?? {
    area: PLATFORM.test(kind) ? ("platform" as const) : ("other" as const),
    means: every(kind),
  };
  const { op, quiet, stays, name: subject, before, after, reasons } = step;
  const all = op === "delete" ? [] : fieldChanges(before, after, UNTOLD, reasons);
  const fields = kind === "PipelineVersion" ? all.filter((field) => !followsIdentity(field, after, replaced)) : all;
  if (quiet && fields.length === 0) return [];
  const taken = op === "delete" || op === "replace";
  return [{ area, op, subject, means: quiet ? QUIET : stays && taken ? STAYS[op] : means[op], fields }];
}

const STAYS = {
  delete: "ONLY LEAVES THE STATE (retainOnDelete or deletedWith): what it granted or holds stays as it is",
  replace: "is made anew, and the one before STAYS AS IT IS (retainOnDelete or deletedWith)",
} as const;

const QUIET = "nothing is done now, and whatever is next done to it takes these values";

/** The entry of a step that gets another identity in the same deployment, as that comes out. */
function followsIdentity({ path }: FieldChange, after: Values, replaced: ReadonlySet<string>): boolean {
  const step = /^steps\.([^.]+)$/.exec(path)?.[1];
  const { steps } = after;
  return step !== undefined && replaced.has(step) && isValues(steps) && steps[step] === UNKNOWN;
}

/** Another provider for a resource is other code, and what is no longer protected goes with the next change. */
function optionChanges({ name, op, options }: PreviewStep): TrustChange[] {
  if (op === "create" || op === "delete") return [];
  const changes: TrustChange[] = [];
  for (const field of fieldChanges(options.before, options.after)) {
    // The id behind the provider's name changes with every new one, which is told by itself.
    if (field.path === "provider" && urnOf(field.before) === urnOf(field.after)) continue;
    const area = field.path === "provider" ? "code" : "waivers";
    const means = `the option ${field.path} changes`;
    changes.push({ area, op, subject: `${name}: ${field.path}`, means, fields: [field] });
  }
  return changes;
}

const urnOf = (reference = ""): string => reference.slice(0, reference.lastIndexOf("::"));

function otherChange(step: PreviewStep): TrustChange[] {
  const { type, urn, op, quiet, name, before, after, reasons } = step;
  if (type === "pulumi:pulumi:Stack") return [];
  const fields = op === "delete" ? [] : fieldChanges(before, after, [], reasons);
  if (quiet && fields.length === 0) return [];
  const area = CODE.test(type) ? "code" : PARTY.test(urn.split("::")[2] ?? "") ? "parties" : "others";
  // A new object of a cluster or a cloud is in the program, whole; of what runs here everything is said.
  const told = op === "create" && area !== "code" ? [] : fields;
  return [{ area, op, subject: `${name} (${type})`, means: quiet ? QUIET : MEANS_OTHER[op], fields: told }];
}

const MEANS_OTHER = { create: "new", update: "changes", replace: "is made anew", delete: "goes" } as const;

/** Where secrets belong: they are shown by their name only. What else is secret or unknown, nobody can review. */
const SECRETS =
  /^(keys\.root|command|env|image\.env|content|signingKey|kubeconfig|parameters|seed|urlSeed|keyPem|caKeyPem|registry\.signingKey)(\.|$)/;
/** Inputs that say who may do what; known before any deployment, but for keys and addresses that it makes. */
const REVIEWED =
  /^(step|inputs|outputs|releases|recipients|runKeys|schedules|limits|when|egress|exitClass|tee|guest|source|policy|backend|drainSeconds|runSeconds|deleteObjects|path|pipeline|stack|generation)(\.|$)/;

function hiddenChanges({ name, op, before, after }: PreviewStep, kind: string): TrustChange[] {
  if (op === "delete") return [];
  const reviewed = (path: string): boolean => REVIEWED.test(path) || waived(path.split(".").pop() ?? "") !== undefined;
  // What a platform is set up with has secrets of its own, such as a cloud's credentials.
  const secrets = placesOf(SECRET, after).filter(
    (path) => !SECRETS.test(path) && (Object.hasOwn(KINDS, kind) || reviewed(path)),
  );
  const unknown = placesOf(UNKNOWN, after).filter(reviewed);
  const old = new Set(placesOf(SECRET, before));
  const hidden = (path: string, means: string): TrustChange => ({
    area: "hidden",
    op,
    subject: `${name}: ${path}`,
    means,
    fields: [],
  });
  return [
    ...secrets.map((path) =>
      hidden(path, `a secret${old.has(path) ? " as before" : ""}, where ${kind} takes a value that can be reviewed`),
    ),
    ...unknown.map((path) => hidden(path, "known only when it is deployed")),
  ];
}

function waiverChanges({ name, op, before, after }: PreviewStep): TrustChange[] {
  const old = waiversIn(before, "");
  const next = op === "delete" ? new Map<string, string>() : waiversIn(after, "");
  const changes: TrustChange[] = [];
  for (const [path, gives] of next) {
    if (old.has(path)) continue;
    const fields = fieldChanges(before, after).filter((field) => field.path === path);
    changes.push({ area: "waivers", op: "create", subject: `${name}: ${path}`, means: `OFF: ${gives}`, fields });
  }
  for (const [path, gives] of old) {
    if (!next.has(path)) {
      changes.push({
        area: "waivers",
        op: "delete",
        subject: `${name}: ${path}`,
        means: `on again; before: ${gives}`,
        fields: [],
      });
    }
  }
  return changes;
}

function waiversIn(values: unknown, at: string): Map<string, string> {
  const found = new Map<string, string>();
  if (typeof values !== "object" || values === null) return found;
  for (const [key, value] of Object.entries(values as Values)) {
    const path = at === "" ? key : `${at}.${key}`;
    const gives = waived(key);
    if (gives !== undefined && value !== undefined && value !== null && value !== false && value !== "")
      found.set(path, gives);
    else if (isValues(value) || Array.isArray(value)) for (const [p, g] of waiversIn(value, path)) found.set(p, g);
  }
  return found;
}

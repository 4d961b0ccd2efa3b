/** From a preview to what it changes for whom. */
import { waived } from "../../model/waivers";
import { type FieldChange, fieldChanges } from "./fields";
import { isValues, type Preview, type PreviewStep, type Values } from "./preview";

/** In the order in which a reviewer should read them. */
export const AREAS = {
  waivers: "Protections turned off or on",
  keys: "The owner's keys",
  broker: "What the key broker trusts",
  identities: "Who gets keys: identities of steps",
  access: "Who may read releases and start runs",
  images: "Images",
  data: "Datasets",
  platform: "Where steps run",
  other: "Other resources of Sealflow",
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
  /** Changed resources of other packages, by operation. */
  readonly others: Readonly<Record<string, number>>;
  readonly unchanged: number;
  readonly errors: readonly string[];
}

interface Kind {
  readonly area: Area;
  readonly means: Readonly<Record<PreviewStep["op"], string>>;
  /** Inputs that repeat others, or tell nothing. */
  readonly leaveOut?: readonly string[];
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
  PipelineVersion: { area: "access", means: every("the pipeline's version"), leaveOut: ["steps", "datasets"] },
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

export function trustDiff({ steps, unchanged, errors }: Preview): TrustDiff {
  const changes: TrustChange[] = [];
  const others: Record<string, number> = {};
  for (const step of steps) {
    const kind = SEALFLOW.exec(step.type)?.[1];
    if (kind === undefined) others[step.op] = (others[step.op] ?? 0) + 1;
    else changes.push(...waiverChanges(step), ...changeOf(step, kind));
  }
  const order = Object.keys(AREAS);
  changes.sort((a, b) => order.indexOf(a.area) - order.indexOf(b.area) || (a.subject < b.subject ? -1 : 1));
  return { changes, others, unchanged, errors };
}

function changeOf(step: PreviewStep, kind: string): TrustChange[] {
  const {
    area,
    means,
    leaveOut = [],
  } = KINDS[kind] ?? {
    area: PLATFORM.test(kind) ? ("platform" as const) : ("other" as const),
    means: every(kind),
  };
  const { op, name: subject, before, after, reasons } = step;
  const fields = op === "delete" ? [] : fieldChanges(before, after, [...UNTOLD, ...leaveOut], reasons);
  // An update of nothing that is listed here concerns nobody who trusts the pipeline.
  if (op === "update" && fields.length === 0) return [];
  return [{ area, op, subject, means: means[op], fields: op === "create" ? worthTelling(fields) : fields }];
}

/** Of a new resource only what says who may do what; the rest is in the program. */
const TOLD_OF_NEW =
  /^(inputs|outputs|releases|recipients|runKeys|image\.digest|tee|trustProgram|source|values?|policy)\b/;
const worthTelling = (fields: readonly FieldChange[]): FieldChange[] =>
  fields.filter(({ path }) => TOLD_OF_NEW.test(path));

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

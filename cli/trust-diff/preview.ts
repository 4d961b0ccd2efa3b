/** Reads what `pulumi preview --json --show-sames` prints: one digest with a step for each resource. */
import { CliError } from "../errors";

export type Values = Readonly<Record<string, unknown>>;

export interface PreviewStep {
  readonly op: "create" | "update" | "replace" | "delete";
  /** The engine counts it as unchanged and does nothing, but the state takes new inputs or options all the same. */
  readonly quiet: boolean;
  /** What goes only leaves the state: nothing is taken back. */
  readonly stays: boolean;
  readonly type: string;
  readonly name: string;
  readonly urn: string;
  readonly before: Values;
  readonly after: Values;
  /** Inputs that the engine found changed; the only trace of a change inside of a secret. */
  readonly reasons: readonly string[];
  /** Options of the resource that the state remembers and that matter here, as they change. */
  readonly options: { readonly before: Values; readonly after: Values };
}

export interface Preview {
  /** Resources that change; those that stay as they are, are left out. */
  readonly steps: readonly PreviewStep[];
  readonly unchanged: number;
  /** Unchanged by the engine's word, and not listed: without `--show-sames` their inputs cannot be compared. */
  readonly unseen: number;
  /** Errors of the preview itself: then the rest may be missing. */
  readonly errors: readonly string[];
}

/** Operations of the engine; the second half of a replacement says nothing new. */
const OPS: Readonly<Record<string, PreviewStep["op"] | "same" | "none">> = {
  create: "create",
  import: "create",
  update: "update",
  replace: "replace",
  "create-replacement": "replace",
  "import-replacement": "replace",
  "delete-replaced": "none",
  "discard-replaced": "none",
  delete: "delete",
  discard: "delete",
  same: "same",
  read: "none",
  refresh: "none",
};

/** What the state keeps of a resource's options: who makes it, and what holds it back from being deleted. */
const OPTIONS = ["protect", "retainOnDelete", "deletedWith", "provider", "ignoreChanges", "external"];

/** @throws CliError PREVIEW when it is something else, an operation without a name here included. */
export function readPreview(text: string): Preview {
  const digest = parsed(text);
  if (!isValues(digest) || !(Array.isArray(digest.steps) || Array.isArray(digest.diagnostics))) throw notAPreview();
  const list = Array.isArray(digest.steps) ? digest.steps : [];
  // One resource has more than one step: the halves of a replacement, and what an earlier update still has to delete.
  const steps = new Map<string, PreviewStep>();
  let unchanged = 0;
  for (const item of list) {
    if (!isValues(item) || typeof item.urn !== "string" || typeof item.op !== "string") throw notAPreview();
    const op = Object.hasOwn(OPS, item.op) ? OPS[item.op] : undefined;
    if (op === undefined)
      throw new CliError("PREVIEW", `${item.urn}: the engine's operation "${item.op}" is not known here`);
    if (op === "same") unchanged++;
    if (op === "none") continue;
    const step = stepOf(item, item.urn, op);
    if (op === "same" && !differs(step)) continue;
    steps.set(`${step.op} ${item.urn}`, step);
  }
  const going = new Set([...steps.values()].filter(({ op }) => op === "delete").map(({ urn }) => urn));
  const summary = isValues(digest.changeSummary) ? Number(digest.changeSummary.same ?? 0) : 0;
  return {
    steps: [...steps.values()].map((step) =>
      going.has(String(step.options.before.deletedWith)) ? { ...step, stays: true } : step,
    ),
    unchanged: Math.max(unchanged, summary),
    unseen: Math.max(0, summary - unchanged),
    errors: errorsOf(digest.diagnostics),
  };
}

function stepOf(item: Values, urn: string, op: PreviewStep["op"] | "same"): PreviewStep {
  const [old, next] = [valuesOf(item.oldState), valuesOf(item.newState)];
  const paths = [
    ...(Array.isArray(item.diffReasons) ? item.diffReasons : []),
    ...Object.keys(valuesOf(item.detailedDiff)),
  ];
  return {
    op: op === "same" ? "update" : op,
    quiet: op === "same",
    stays: item.op === "discard" || old.retainOnDelete === true,
    type: String(next.type ?? old.type ?? urn.split("::")[2]?.split("$").pop() ?? ""),
    name: urn.split("::").slice(3).join("::"),
    urn,
    before: valuesOf(old.inputs),
    after: valuesOf(next.inputs),
    reasons: [...new Set(paths.map((path) => /^[^.[]+/.exec(String(path))?.[0] ?? String(path)))],
    options: { before: optionsOf(old), after: op === "delete" ? optionsOf(old) : optionsOf(next) },
  };
}

const differs = ({ before, after, options }: PreviewStep): boolean =>
  JSON.stringify(before) !== JSON.stringify(after) || JSON.stringify(options.before) !== JSON.stringify(options.after);

const optionsOf = (state: Values): Values =>
  Object.fromEntries(
    OPTIONS.flatMap((name) => {
      const value = state[name];
      const set = value !== undefined && value !== null && value !== false && value !== "";
      return set && !(Array.isArray(value) && value.length === 0) ? [[name, value]] : [];
    }),
  );

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw notAPreview();
  }
}

const notAPreview = (): CliError =>
  new CliError(
    "PREVIEW",
    "not the output of `pulumi preview --json`. Run: pulumi preview --json --show-sames > preview.json",
  );

const valuesOf = (value: unknown): Values => (isValues(value) ? value : {});

const errorsOf = (diagnostics: unknown): string[] =>
  (Array.isArray(diagnostics) ? diagnostics : [])
    .filter((d) => isValues(d) && d.severity === "error")
    .map((d) => String(d.message ?? "").trim());

export const isValues = (value: unknown): value is Values =>
  typeof value === "object" && value !== null && !Array.isArray(value);

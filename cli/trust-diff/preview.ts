/** Reads what `pulumi preview --json` prints: one digest with a step for each resource. */
import { CliError } from "../errors";

export type Values = Readonly<Record<string, unknown>>;

export interface PreviewStep {
  readonly op: "create" | "update" | "replace" | "delete";
  readonly type: string;
  readonly name: string;
  readonly urn: string;
  readonly before: Values;
  readonly after: Values;
  /** Inputs that the engine found changed; the only trace of a change inside of a secret. */
  readonly reasons: readonly string[];
}

export interface Preview {
  /** Resources that change; those that stay are left out. */
  readonly steps: readonly PreviewStep[];
  readonly unchanged: number;
  /** Errors of the preview itself: then the rest may be missing. */
  readonly errors: readonly string[];
}

/** Operations of the engine; the second half of a replacement says nothing new. */
const OPS: Readonly<Record<string, PreviewStep["op"] | "none">> = {
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
  same: "none",
  read: "none",
  refresh: "none",
};

/** @throws CliError PREVIEW when it is something else, an operation without a name here included. */
export function readPreview(text: string): Preview {
  const digest = parsed(text);
  if (!isValues(digest) || !(Array.isArray(digest.steps) || Array.isArray(digest.diagnostics))) throw notAPreview();
  const list = Array.isArray(digest.steps) ? digest.steps : [];
  const steps = new Map<string, PreviewStep>();
  let unchanged = 0;
  for (const item of list) {
    if (!isValues(item) || typeof item.urn !== "string" || typeof item.op !== "string") throw notAPreview();
    const op = OPS[item.op];
    if (op === undefined)
      throw new CliError("PREVIEW", `${item.urn}: the engine's operation "${item.op}" is not known here`);
    if (item.op === "same") unchanged++;
    if (op === "none") continue;
    steps.set(item.urn, {
      op,
      type: item.urn.split("::")[2]?.split("$").pop() ?? "",
      name: item.urn.split("::").slice(3).join("::"),
      urn: item.urn,
      before: inputsOf(item.oldState),
      after: inputsOf(item.newState),
      reasons: Array.isArray(item.diffReasons) ? item.diffReasons.map(String) : [],
    });
  }
  return { steps: [...steps.values()], unchanged, errors: errorsOf(digest.diagnostics) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw notAPreview();
  }
}

const notAPreview = (): CliError =>
  new CliError("PREVIEW", "not the output of `pulumi preview --json`. Run: pulumi preview --json > preview.json");

const inputsOf = (state: unknown): Values => (isValues(state) && isValues(state.inputs) ? state.inputs : {});

const errorsOf = (diagnostics: unknown): string[] =>
  (Array.isArray(diagnostics) ? diagnostics : [])
    .filter((d) => isValues(d) && d.severity === "error")
    .map((d) => String(d.message ?? "").trim());

export const isValues = (value: unknown): value is Values =>
  typeof value === "object" && value !== null && !Array.isArray(value);

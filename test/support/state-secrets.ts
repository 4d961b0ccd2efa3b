/** Whether an exported state shows what is a secret in it. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { scan } from "./scan";
import type { StackProject } from "./stack-project";

/** Pulumi's mark of a secret in a state; with --show-secrets its plaintext, JSON, is beside. */
const SIGNATURE = "4dabf18193072939515e22adb298388d";
/** Shorter ones, such as names, stand elsewhere by chance. */
const LEAST = 20;

function secretsIn(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  const { [SIGNATURE]: mark, plaintext } = value as Record<string, unknown>;
  if (mark !== undefined && typeof plaintext === "string") {
    const known: unknown = JSON.parse(plaintext);
    return typeof known === "string" ? [known] : [];
  }
  return Object.values(value).flatMap(secretsIn);
}

export interface StateScan {
  /** Secrets of the state itself that were looked for. */
  readonly secrets: number;
  /** Places in clear, in any usual encoding. */
  readonly hits: readonly { readonly marker: string; readonly encoding: string }[];
}

/** Looks for every secret text that a stack's own state holds, and for planted ones. */
export async function scanState(project: StackProject, stack: string, planted: readonly string[]): Promise<StateScan> {
  const shown = JSON.parse((await project.pulumi("stack", "export", "-s", stack, "--show-secrets")).stdout);
  const secrets = [...new Set(secretsIn(shown))].filter((text) => text.length >= LEAST);
  const dir = mkdtempSync(path.join(tmpdir(), "sealflow-state-"));
  try {
    const file = path.join(dir, "exported.json");
    writeFileSync(file, await project.exported(stack), { mode: 0o600 });
    return { secrets: secrets.length, hits: scan([file], [...secrets, ...planted]).hits };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/**
 * The root secret of a pipeline: created, written as one line of text, and loaded from where the program says.
 * Text form: `sealflow-root.1.g<generation>.<32 bytes, base64url>`; the same in Pulumi state, file and environment.
 */
import { base64url, fromBase64url } from "../../protocol/bytes";
import { fingerprint, type Root } from "../../protocol/keys";
import { KeyError } from "./errors";
import { readPrivateFile } from "./private-file";

const FORM = /^sealflow-root\.1\.g([1-9][0-9]{0,5})\.([A-Za-z0-9_-]{43})$/;

/** Where the root lives (DESIGN §2.1). `state`: the text comes out of Pulumi's encrypted state. */
export type RootSource =
  | { readonly source: "state"; readonly root: string }
  | { readonly source: "file"; readonly path: string }
  | { readonly source: "env"; readonly variable?: string };

export const ROOT_VARIABLE = "SEALFLOW_ROOT";

export interface LoadRootOptions {
  /** Fingerprint and generation that the program knows; a root of another pipeline is refused. */
  readonly expected?: { readonly fingerprint: string; readonly generation: number };
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** @param random 32 fresh bytes. */
export function createRoot(random: Uint8Array, generation = 1): Root {
  if (random.length !== 32) throw new KeyError("KEY_FORM", `root secret: ${random.length} bytes, expected 32`);
  return { secret: random.slice(), generation };
}

export const formatRoot = (root: Root): string => `sealflow-root.1.g${root.generation}.${base64url(root.secret)}`;

/** @param where names the source in errors; the text itself is never shown. @throws KeyError KEY_FORM. */
export function parseRoot(text: string, where: string): Root {
  const match = FORM.exec(text.trim());
  if (!match?.[1] || !match[2]) {
    throw new KeyError("KEY_FORM", `${where}: not a root secret of the form sealflow-root.1.g<generation>.<key>`);
  }
  try {
    return { generation: Number(match[1]), secret: fromBase64url(match[2]) };
  } catch (cause) {
    throw new KeyError("KEY_FORM", `${where}: the key is not canonical base64url`, { cause });
  }
}

/** @throws KeyError KEY_MISSING, KEY_FORM, KEY_MODE or KEY_OTHER. */
export function loadRoot(source: RootSource, { expected, env = process.env }: LoadRootOptions = {}): Root {
  const { text, where } = textOf(source, env);
  const parsed = parseRoot(text, where);
  // The text names the generation it was made with; a rotated pipeline asks for a later one of the same secret.
  const root = expected ? { ...parsed, generation: expected.generation } : parsed;
  if (expected && (root.generation !== expected.generation || fingerprint(root) !== expected.fingerprint)) {
    throw new KeyError(
      "KEY_OTHER",
      `${where}: holds the root with fingerprint ${fingerprint(parsed).slice(0, 16)} generation ${parsed.generation}, ` +
        `expected ${expected.fingerprint.slice(0, 16)} generation ${expected.generation}. Give the root of this pipeline`,
    );
  }
  return root;
}

function textOf(
  source: RootSource,
  env: Readonly<Record<string, string | undefined>>,
): { text: string; where: string } {
  if (source.source === "state") return { text: source.root, where: "root secret in the stack's state" };
  if (source.source === "file") return { text: readPrivateFile(source.path, "root secret"), where: source.path };
  const variable = source.variable ?? ROOT_VARIABLE;
  const text = env[variable];
  if (!text)
    throw new KeyError("KEY_MISSING", `environment variable ${variable} is not set: it must hold the root secret`);
  return { text, where: `environment variable ${variable}` };
}

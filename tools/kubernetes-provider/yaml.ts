/** Manifests in a YAML text, as the invoke `kubernetes:yaml:decode` gives them to the SDK. */
import { parseAllDocuments } from "yaml";

/** @throws Error for a text that is no YAML. */
export function decodeYaml(text: string): unknown[] {
  const documents = parseAllDocuments(text);
  if (!Array.isArray(documents)) return [];
  return documents.flatMap((document) => {
    const [error] = document.errors;
    if (error) throw new Error(`no YAML: ${error.message}`);
    const object = document.toJS() as { kind?: string; items?: unknown[] } | null;
    if (object === null) return [];
    return object.kind?.endsWith("List") && Array.isArray(object.items) ? object.items : [object];
  });
}

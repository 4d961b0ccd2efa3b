/** Looks for planted strings in files, as they are and in the encodings that formats use. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import * as path from "node:path";

export interface Hit {
  readonly file: string;
  readonly marker: string;
  readonly encoding: string;
}

/** Base64 of a text in the middle of others depends on its offset: the part that is the same for each of the three. */
function base64Forms(marker: string): string[] {
  return [0, 1, 2].map((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), Buffer.from(marker)]).toString("base64");
    return text.slice(offset === 0 ? 0 : offset + 1, text.length - 4);
  });
}

function encodings(marker: string): Record<string, string[]> {
  const forms = base64Forms(marker);
  return {
    plain: [marker],
    hex: [Buffer.from(marker).toString("hex"), Buffer.from(marker).toString("hex").toUpperCase()],
    base64: forms,
    base64url: forms.map((form) => form.replace(/\+/g, "-").replace(/\//g, "_")),
    utf16: [Buffer.from(marker, "utf16le").toString("latin1")],
  };
}

/** @param places files and folders; missing ones are an error, so that a scan cannot pass by looking nowhere. */
export function scan(places: readonly string[], markers: readonly string[]): { hits: Hit[]; files: number } {
  const wanted = markers.map((marker) => [marker, Object.entries(encodings(marker))] as const);
  const hits: Hit[] = [];
  let files = 0;
  const look = (file: string): void => {
    const stat = statSync(file, { throwIfNoEntry: true });
    if (stat.isDirectory()) for (const name of readdirSync(file)) look(path.join(file, name));
    if (!stat.isFile()) return;
    files += 1;
    hits.push(...scanText(readFileSync(file).toString("latin1"), file, wanted));
  };
  for (const place of places) look(place);
  return { hits, files };
}

type Wanted = readonly (readonly [string, [string, string[]][]])[];

function scanText(text: string, file: string, wanted: Wanted): Hit[] {
  return wanted.flatMap(([marker, forms]) =>
    forms.flatMap(([encoding, texts]) =>
      texts.some((form) => text.includes(form)) ? [{ file, marker, encoding }] : [],
    ),
  );
}

/** The same for a text at hand. */
export const scanString = (text: string, name: string, markers: readonly string[]): Hit[] =>
  scanText(
    Buffer.from(text).toString("latin1"),
    name,
    markers.map((m) => [m, Object.entries(encodings(m))] as const),
  );

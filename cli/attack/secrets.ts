/** What leaks in the worst case, and what to look for: the contents of the copy's key broker. */

import * as path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { base64url } from "../../protocol/bytes";
import { peekJws } from "../../protocol/jws";
import { type Bundle, bundle } from "../../protocol/messages";

/** Shorter texts occur by chance. */
const SHORTEST = 12;
/** Words of a command that are no secret: they are in every manifest or image. */
const PUBLIC = /^(node|\/app\/|\/sealflow\/|\/usr\/|\/bin\/)/;

/** A resource of the key broker, as it stores it. @throws Error when there is none. */
export function storedResource(home: string, name: string): Uint8Array {
  const row = open(home, (db) =>
    db.prepare("SELECT value FROM kv WHERE namespace = 'repository' AND key = ?").get(name),
  );
  if (!row) throw new Error(`the key broker has no ${name}`);
  return (row as { value: Uint8Array }).value;
}

/** Keys, and what the owner wrote into programs. @param ns the pipeline's. */
export function secretTexts(home: string, ns: string): string[] {
  const rows = open(home, (db) =>
    db.prepare("SELECT key, value FROM kv WHERE namespace = 'repository' AND key LIKE ?").all(`${ns}/%`),
  ) as { key: string; value: Uint8Array }[];
  const found = rows.flatMap(({ key, value }) =>
    key.startsWith(`${ns}/step/`)
      ? textsOf(peekJws("sealflow-bundle+jwt", Buffer.from(value).toString("utf8"), bundle))
      : [base64url(value)],
  );
  return [...new Set(found)].filter((text) => text.length >= SHORTEST);
}

function textsOf({ program, ...b }: Bundle): string[] {
  const words = [...program.command, ...Object.values(program.env)].filter((word) => !PUBLIC.test(word));
  return [
    ...words,
    b.blind,
    b.signingSeed,
    b.parameterSeed,
    b.logRoot,
    ...Object.values(b.edgeRoots),
    ...Object.values(b.datasetRoots).map(({ root }) => root),
  ];
}

function open<T>(home: string, read: (db: DatabaseSync) => T): T {
  const db = new DatabaseSync(path.join(home, "dev", "kbs", "kbs.db"), { readOnly: true });
  try {
    return read(db);
  } finally {
    db.close();
  }
}

import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { jcs } from "../../../protocol/canonical";
import { sha256hex } from "../../../protocol/crypto";
import type { Attack } from "../types";

/** Writes the manifest anew, as whoever changes a folder on purpose would. */
function remake(folder: string): void {
  const file = join(folder, "manifest.json");
  const manifest = JSON.parse(readFileSync(file, "utf8")) as { files: Record<string, unknown> };
  manifest.files = {};
  const add = (below: string): void => {
    for (const entry of readdirSync(join(folder, below), { withFileTypes: true })) {
      const name = below === "" ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory()) add(name);
      else if (entry.isFile() && name !== "manifest.json") {
        const bytes = readFileSync(join(folder, name));
        manifest.files[name] = { sha256: sha256hex(bytes), size: bytes.length };
      }
    }
  };
  add("");
  writeFileSync(file, `${jcs(manifest)}\n`);
}

const lines = (folder: string): string[] => readFileSync(join(folder, "log.jsonl"), "utf8").trimEnd().split("\n");
const write = (folder: string, all: readonly string[]): void =>
  writeFileSync(join(folder, "log.jsonl"), `${all.join("\n")}\n`);
const commitOf = (folder: string, step: string): string =>
  readdirSync(join(folder, "commits")).find((name) => name.startsWith(`${step}.`)) as string;

export const folder: Attack = {
  number: 32,
  title: "a run folder with entries removed, doubled, hidden, exchanged; logs replaced",
  power: "folder from elsewhere",
  expected: [
    "LOG",
    "RECEIPT_MISSING",
    "RECEIPT",
    "RECEIPT_TWICE",
    "FILE_UNKNOWN",
    "FILE_MISSING",
    "OBJECT",
    "RELEASED",
    "HEAD_PIN",
    "SIGNATURE",
    "CHAIN",
    "SHAPE",
    "ENDED",
    "INPUTS",
  ],
  mount: async (world) => {
    const { consumer, producer } = world.target;
    const released = Object.keys(world.descriptor.releases)[0];
    const edits: Record<string, (at: string) => void> = {
      "a commit removed": (at) => rmSync(join(at, "commits", commitOf(at, consumer))),
      "a commit under another step's name": (at) =>
        renameSync(
          join(at, "commits", commitOf(at, consumer)),
          join(
            at,
            "commits",
            commitOf(at, consumer)
              .replace(consumer, producer === consumer ? "x" : producer)
              .replace(".0.1.", ".0.2."),
          ),
        ),
      "a commit a second time, as attempt 2": (at) =>
        cpSync(join(at, "commits", commitOf(at, consumer)), join(at, "commits", `${consumer}.0.2.jws`)),
      "a commit as a failure": (at) => {
        mkdirSync(join(at, "failures"), { recursive: true });
        renameSync(join(at, "commits", commitOf(at, consumer)), join(at, "failures", commitOf(at, consumer)));
      },
      "the last log entry removed": (at) => write(at, lines(at).slice(0, -1)),
      "a log entry twice": (at) => write(at, [...lines(at), lines(at).at(-1) as string]),
      "two log entries exchanged": (at) => {
        const all = lines(at);
        [all[0], all[1]] = [all[1] as string, all[0] as string];
        write(at, all);
      },
      "the last attempt's log entry hidden behind its hash": (at) => hide(at, "attempt", -1),
      "the last commit's log entry hidden behind its hash": (at) => hide(at, "commit", -1),
      "an earlier attempt hidden behind its hash": (at) => hide(at, "attempt", 0),
      "the run's log entry hidden behind its hash": (at) => hide(at, "run", -1),
      "a file that belongs to nothing": (at) => writeFileSync(join(at, "extra.txt"), "x"),
      "a link to elsewhere": (at) => symlinkSync("/etc/passwd", join(at, "objects", "0".repeat(64))),
      "a name with an unusual spelling": (at) => writeFileSync(join(at, "commits", `${consumer}.00.1.jws`), "x"),
      "an object exchanged": (at) => {
        const [one, two] = readdirSync(join(at, "objects"));
        renameSync(join(at, "objects", one as string), join(at, "objects", two as string));
      },
      ...(released === undefined
        ? {}
        : { "the released plaintext exchanged": (at: string) => writeFileSync(join(at, "released", released), "{}") }),
      "the version removed": (at) => rmSync(join(at, "descriptors", "1.jws")),
      "the head removed": (at) => rmSync(join(at, "head.jws")),
    };
    const tries = [];
    for (const [tried, edit] of Object.entries(edits)) {
      const at = await world.folder();
      edit(at);
      remake(at);
      const found = await world.owner.verify(at, true);
      tries.push({ tried, ended: found[0] ?? "VERIFIED" });
    }
    return tries;
  },
};

/** The Merkle root stays the same: other pipelines' leaves are shown so. @param which 0: the first of its kind. */
function hide(at: string, kind: string, which: number): void {
  const all = lines(at);
  const index = all
    .map((line, i) => [line, i] as const)
    .filter(([line]) => line.includes(`\\"kind\\":\\"${kind}\\"`))
    .at(which)?.[1] as number;
  const { entry } = JSON.parse(all[index] as string) as { entry: string };
  all[index] = jcs({ hash: sha256hex(Buffer.concat([Buffer.of(0), Buffer.from(entry)])) });
  write(at, all);
}

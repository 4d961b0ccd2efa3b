import * as fs from "node:fs";
import * as path from "node:path";
import type { Context } from "../context";
import { packageRoot } from "../engine";
import { CliError } from "../errors";
import { EXIT } from "../exit-codes";

/** The project that is copied; its README is about itself. */
const TEMPLATE = ["examples", "hello"];
const LEFT_OUT = new Set(["README.md"]);
/** What must stay out of version control: state with keys, and packages. */
const IGNORED = ["node_modules/", ".sealflow/"];

/** `sealflow init`: a small pipeline of one's own in a folder, ready for `sealflow start`. Overwrites nothing. */
export async function init(context: Context, folder: string): Promise<number> {
  const target = path.resolve(context.io.cwd, folder);
  const template = path.join(packageRoot(), ...TEMPLATE);
  const files = fs
    .readdirSync(template, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(template, path.join(entry.parentPath, entry.name)))
    .filter((file) => !LEFT_OUT.has(file))
    .sort();
  const taken = files.filter((file) => fs.existsSync(path.join(target, file)));
  if (taken.length > 0) {
    throw new CliError(
      "EXISTS",
      `${context.show(target)} has ${taken.join(", ")} already. Nothing was written; choose an empty folder: npx sealflow init <folder>`,
    );
  }
  for (const file of files) {
    fs.mkdirSync(path.dirname(path.join(target, file)), { recursive: true });
    fs.writeFileSync(path.join(target, file), contentOf(template, file, target), { flag: "wx" });
  }
  ignore(path.join(target, ".gitignore"));
  const missing = ["sealflow", "@pulumi/pulumi", "typescript", "ts-node"].filter((name) => !hasPackage(target, name));
  context.result({ folder: target, files, missing }, [
    ...files.map((file) => `wrote ${context.show(path.join(target, file))}`),
    "next:",
    ...(folder === "." ? [] : [`  cd ${folder}`]),
    ...(missing.length > 0 ? [`  npm install ${missing.map(wanted).join(" ")}`] : []),
    "  npx sealflow start",
  ]);
  return EXIT.ok;
}

/** The project is named after its folder, as far as Pulumi allows the name. */
function contentOf(template: string, file: string, target: string): string {
  const text = fs.readFileSync(path.join(template, file), "utf8");
  if (file !== "Pulumi.yaml") return text;
  const name = path
    .basename(target)
    .replace(/[^A-Za-z0-9_.-]/g, "-")
    .slice(0, 100);
  return text.replace(/^name: .*$/m, `name: ${JSON.stringify(name === "" ? "hello" : name)}`);
}

/** Adds the lines that are not there yet. */
function ignore(file: string): void {
  const text = fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "";
  const lines = IGNORED.filter((line) => !text.split("\n").includes(line));
  const gap = text === "" || text.endsWith("\n") ? "" : "\n";
  if (lines.length > 0) fs.appendFileSync(file, `${gap}${lines.join("\n")}\n`);
}

function hasPackage(from: string, name: string): boolean {
  for (let folder = from; ; folder = path.dirname(folder)) {
    if (fs.existsSync(path.join(folder, "node_modules", name, "package.json"))) return true;
    if (folder === path.dirname(folder)) return false;
  }
}

/** TypeScript 6 and later is not what Pulumi's program host takes. */
const wanted = (name: string): string => (name === "typescript" ? "typescript@5" : name);

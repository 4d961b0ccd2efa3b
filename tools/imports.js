/** Checks the import directions of import-rules.js. Usage: node tools/imports.js */

const fs = require("node:fs");
const { isBuiltin } = require("node:module");
const path = require("node:path");
const ts = require("typescript");
const { RULES, CLOUD_SDKS } = require("./import-rules.js");

/** @typedef {{file: string, line: number, imports: string, why: string}} Problem */

/**
 * @param {string} root the checkout
 * @returns {{files: number, problems: Problem[]}}
 */
function checkImports(root) {
  const problems = [];
  let files = 0;
  for (const [row, rule] of Object.entries(RULES)) {
    for (const file of sourcesOf(root, row)) {
      files++;
      const text = fs.readFileSync(path.join(root, file), "utf8");
      for (const { fileName, pos } of ts.preProcessFile(text, true, true).importedFiles) {
        if (/\.require\(\s*["'`]?$/.test(text.slice(0, pos + 1))) continue; // a method of this name, as of Pulumi's Config
        const why = refusal(row, rule, file, fileName);
        if (why === undefined) continue;
        problems.push({ file, line: text.slice(0, pos).split("\n").length, imports: fileName, why });
      }
    }
  }
  return { files, problems };
}

/** @returns {string | undefined} why `file` of `row` may not import `specifier` */
function refusal(row, rule, file, specifier) {
  if (specifier.startsWith(".")) {
    const target = path.posix.normalize(path.posix.join(path.posix.dirname(file), specifier));
    const within = (folder) => target === folder || target.startsWith(`${folder}/`);
    if (target.startsWith("../")) return "leaves the project";
    if (within(row) || rule.own.some(within)) return undefined;
    return `${row} may import ${list(rule.own)} of ours`;
  }
  if (isBuiltin(specifier)) {
    const name = specifier.startsWith("node:") ? specifier : `node:${specifier}`;
    if (rule.node === "any" || rule.node.some((allowed) => name === allowed || name.startsWith(`${allowed}/`))) {
      return undefined;
    }
    return `${row} may use ${list(rule.node)} of Node`;
  }
  const name = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
  if (name === "sealflow") {
    return rule.own.includes("sealflow") ? undefined : `${row} imports by relative path, not by package name`;
  }
  if (Object.hasOwn(CLOUD_SDKS, name)) return cloudRefusal(name, specifier, file);
  if (rule.npm !== "any" && rule.npm.includes(name)) return undefined;
  if (rule.npm === "any" || rule.npm.includes("any")) {
    return name.startsWith("@pulumi/") ? `${row} may not use Pulumi` : undefined;
  }
  return `${row} may use ${list(rule.npm)} of npm`;
}

/** A cloud's SDK: in the folder of that cloud alone, and by its modules. */
function cloudRefusal(name, specifier, file) {
  const places = CLOUD_SDKS[name];
  if (!places.some((place) => file === place || file.startsWith(`${place}/`)))
    return `only ${list(places)} may use ${name}`;
  return specifier === name
    ? `import a module of ${name}, such as ${name}/${name.endsWith("aws") ? "ec2" : "network"}`
    : undefined;
}

function list(names) {
  return names.length === 0 ? "nothing" : names.join(", ");
}

/** TypeScript and JavaScript files of a row, relative to the root. */
function sourcesOf(root, row) {
  const full = path.join(root, row);
  if (!fs.existsSync(full)) return [];
  if (fs.statSync(full).isFile()) return [row];
  return fs
    .readdirSync(full, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.[cm]?[jt]s$/.test(entry.name))
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)).split(path.sep).join("/"))
    .filter((file) => !file.includes("/node_modules/"))
    .sort();
}

/** Prints what it found. @returns {number} exit code */
function main(root) {
  const { files, problems } = checkImports(root);
  for (const { file, line, imports, why } of problems) console.error(`${file}:${line}: imports "${imports}"; ${why}`);
  console.error(`imports: ${files} files, ${problems.length} wrong (rules: tools/import-rules.js)`);
  return problems.length === 0 && files > 0 ? 0 : 1;
}

module.exports = { checkImports, main };

if (require.main === module) process.exitCode = main(path.resolve(__dirname, ".."));

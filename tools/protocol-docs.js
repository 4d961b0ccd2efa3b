/**
 * Writes docs/protocol/messages.md and docs/protocol/codes.md from the code: field tables from protocol/messages/, codes
 * from every `…Code` type. Usage: node tools/protocol-docs.js [--check]
 */

const fs = require("node:fs");
const path = require("node:path");
const ts = require("typescript");

/** Where refusals that cross a border between parties are named. */
const CODE_FOLDERS = ["protocol", "guest", "relying-party/ledger", "owner/verify"];
const NOTE = "Generated from the code by `npm run docs:protocol`; a test holds it current.";

/** @returns {Record<string, string>} file below the root, its text */
function documents(root) {
  return {
    "docs/protocol/messages.md": messages(root),
    "docs/protocol/codes.md": codes(root),
  };
}

function messages(root) {
  const folder = path.join(root, "protocol", "messages");
  const parts = fs
    .readdirSync(folder)
    .filter((file) => file.endsWith(".ts") && file !== "index.ts")
    .sort()
    .map((file) => messagesOf(path.join(folder, file), file));
  return [
    "# Messages",
    "",
    NOTE,
    "A field whose shape is a name has the table or definition of that name.",
    "",
    ...parts,
  ]
    .join("\n")
    .concat("\n");
}

function messagesOf(file, name) {
  const source = parse(file);
  const out = [`## \`protocol/messages/${name}\``, "", headOf(source), ""];
  for (const { declaration, comment } of exported(source)) {
    const fields = objectOf(declaration.initializer);
    const title = declaration.name.getText(source);
    if (!fields) {
      if (/^(text|list|record|integer|literal|nullable)\(/.test(declaration.initializer?.getText(source) ?? "")) {
        out.push(`**${title}** = ${code(declaration.initializer.getText(source))}${comment && ` ${comment}`}`, "");
      }
      continue;
    }
    out.push(`### ${title}`, "", ...(comment ? [comment, ""] : []), "| field | shape | meaning |", "|---|---|---|");
    out.push(...rows(fields, source, ""), "");
  }
  return out.join("\n");
}

/** One line per field; fields of an object inside are named with a dot. */
function rows(fields, source, prefix) {
  return fields.properties.flatMap((property) => {
    const name = prefix + property.name.getText(source);
    const shape = ts.isShorthandPropertyAssignment(property) ? property.name : property.initializer;
    const inner = objectOf(shape) ?? objectOf(shape.arguments?.[0]);
    const text = inner ? shape.getText(source).split("({")[0].replace("(", " of ") : shape.getText(source);
    const row = `| ${code(name)} | ${code(text)} | ${commentOf(property, source)} |`;
    return inner ? [row, ...rows(inner, source, `${name}.`)] : [row];
  });
}

/** The literal inside `object({ … })`. */
function objectOf(node) {
  if (!node || !ts.isCallExpression(node) || node.expression.getText() !== "object") return undefined;
  const [fields] = node.arguments;
  return fields && ts.isObjectLiteralExpression(fields) ? fields : undefined;
}

function codes(root) {
  const found = [];
  for (const folder of CODE_FOLDERS) {
    for (const file of fs.readdirSync(path.join(root, folder), { recursive: true }).map(String).sort()) {
      if (!file.endsWith(".ts") || file.endsWith(".d.ts")) continue;
      const place = `${folder}/${file.split(path.sep).join("/")}`;
      const source = parse(path.join(root, place));
      for (const statement of source.statements) {
        if (!ts.isTypeAliasDeclaration(statement) || !/Code$/.test(statement.name.text)) continue;
        const list = literals(statement.type);
        if (list.length > 0) found.push(section(statement, list, place, source));
      }
      found.push(...runnerCodes(source, place));
    }
  }
  return ["# Failure codes", "", NOTE, "A code never changes its meaning.", "", ...found].join("\n").concat("\n");
}

function section(statement, list, place, source) {
  const comment = commentOf(statement, source);
  return [
    `## ${statement.name.text} (\`${place}\`)`,
    "",
    ...(comment ? [comment, ""] : []),
    list.map(code).join(" · "),
    "",
  ].join("\n");
}

/** The runner's codes are the keys of a table: code, exit code of the process. */
function runnerCodes(source, place) {
  for (const { declaration, comment } of exported(source)) {
    if (declaration.name.getText(source) !== "CODES") continue;
    let table = declaration.initializer;
    while (table && !ts.isObjectLiteralExpression(table)) table = table.expression;
    if (!table) continue;
    const lines = table.properties.map(
      (p) => `| ${code(p.name.getText(source))} | ${p.initializer.getText(source)} | ${commentOf(p, source)} |`,
    );
    const head = [
      `## Runner (\`${place}\`)`,
      "",
      ...(comment ? [comment, ""] : []),
      "| code | exit | meaning |",
      "|---|---|---|",
    ];
    return [[...head, ...lines, ""].join("\n")];
  }
  return [];
}

function literals(type) {
  if (ts.isUnionTypeNode(type)) return type.types.flatMap(literals);
  return ts.isLiteralTypeNode(type) && ts.isStringLiteral(type.literal) ? [type.literal.text] : [];
}

function* exported(source) {
  for (const statement of source.statements) {
    const isExported = statement.modifiers?.some((m) => m.kind === ts.SyntaxKind.ExportKeyword);
    if (!isExported || !ts.isVariableStatement(statement)) continue;
    for (const declaration of statement.declarationList.declarations) {
      yield { declaration, comment: commentOf(statement, source) };
    }
  }
}

/** The doc comment directly above, as one line. */
function commentOf(node, source) {
  const ranges = ts.getLeadingCommentRanges(source.text, node.pos) ?? [];
  const last = ranges.at(-1);
  if (!last || source.text.slice(last.pos, last.pos + 3) !== "/**") return "";
  return oneLine(source.text.slice(last.pos, last.end));
}

function headOf(source) {
  const [first] = ts.getLeadingCommentRanges(source.text, 0) ?? [];
  return first ? oneLine(source.text.slice(first.pos, first.end)) : "";
}

const oneLine = (comment) =>
  comment
    .replace(/^\/\*\*|\*\/$/g, "")
    .replace(/^\s*\* ?/gm, " ")
    .replace(/\s+/g, " ")
    .replaceAll("|", "\\|")
    .trim();

const code = (text) => `\`${text.replace(/\s+/g, " ").replaceAll("|", "\\|")}\``;

const parse = (file) => ts.createSourceFile(file, fs.readFileSync(file, "utf8"), ts.ScriptTarget.Latest, true);

/** @returns {string[]} files that are not what the code says */
function stale(root) {
  return Object.entries(documents(root))
    .filter(([file, text]) => {
      try {
        return fs.readFileSync(path.join(root, file), "utf8") !== text;
      } catch {
        return true;
      }
    })
    .map(([file]) => file);
}

module.exports = { stale };

if (require.main === module) {
  const root = path.resolve(__dirname, "..");
  if (process.argv.includes("--check")) {
    const old = stale(root);
    for (const file of old) console.error(`${file} is not what the code says: npm run docs:protocol`);
    process.exitCode = old.length > 0 ? 1 : 0;
  } else {
    for (const [file, text] of Object.entries(documents(root))) fs.writeFileSync(path.join(root, file), text);
  }
}

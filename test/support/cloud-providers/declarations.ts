/**
 * What a cloud's SDK says about its resources, read from the installed type declarations by syntax alone (no type check:
 * the files have up to 9 MB). Inputs are checked against it, so a wrong property name fails here as it would in the cloud.
 */
import { existsSync, readFileSync } from "node:fs";
import * as path from "node:path";
import ts from "typescript";

export type Shape =
  | { readonly kind: "string" | "number" | "boolean" | "any" }
  | { readonly kind: "one-of"; readonly values: readonly (string | number)[] }
  | { readonly kind: "array" | "map"; readonly of: Shape }
  | { readonly kind: "object"; readonly name: string; readonly fields: () => Fields }
  | { readonly kind: "union"; readonly of: readonly Shape[] };

export type Fields = Readonly<Record<string, { readonly shape: Shape; readonly required: boolean }>>;

export interface ResourceDeclaration {
  readonly inputs: Fields;
  /** Names of outputs, inputs among them. */
  readonly outputs: readonly string[];
}

const NODE_MODULES = path.resolve(__dirname, "../../../node_modules");
/** Names that the SDKs use for plain strings. */
const TEXT = new Set(["ARN", "Region", "InstanceType", "ID", "RoutingRule"]);

/** Declarations of one SDK package, such as `azure-native`. */
export class Declarations {
  readonly #root: string;
  readonly #files = new Map<string, ts.SourceFile>();
  readonly #index = new Map<string, Map<string, ts.InterfaceDeclaration>>();
  readonly #resources = new Map<string, ResourceDeclaration>();

  constructor(readonly pkg: string) {
    this.#root = path.join(NODE_MODULES, "@pulumi", pkg);
  }

  get version(): string {
    return JSON.parse(readFileSync(path.join(this.#root, "package.json"), "utf8")).version;
  }

  /**
   * @param token `azure-native:network:Subnet` or `aws:ec2/vpc:Vpc`
   * @returns undefined when the SDK has no such resource.
   */
  resource(token: string): ResourceDeclaration | undefined {
    const known = this.#resources.get(token);
    if (known) return known;
    const [, module = "", name = ""] = token.split(":");
    const file = module.includes("/") ? module : `${module}/${name.charAt(0).toLowerCase()}${name.slice(1)}`;
    if (!existsSync(path.join(this.#root, `${file}.d.ts`))) return undefined;
    const source = this.#file(`${file}.d.ts`);
    let inputs: Fields | undefined;
    let outputs: string[] | undefined;
    for (const statement of source.statements) {
      if (ts.isInterfaceDeclaration(statement) && statement.name.text === `${name}Args`)
        inputs = this.#fields(statement);
      if (ts.isClassDeclaration(statement) && statement.name?.text === name) {
        outputs = statement.members.flatMap((m) =>
          ts.isPropertyDeclaration(m) && ts.isIdentifier(m.name) ? [m.name.text] : [],
        );
      }
    }
    if (!inputs || !outputs) return undefined;
    const declaration = { inputs, outputs };
    this.#resources.set(token, declaration);
    return declaration;
  }

  #file(file: string): ts.SourceFile {
    let source = this.#files.get(file);
    if (!source) {
      const text = readFileSync(path.join(this.#root, file), "utf8");
      source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, false);
      this.#files.set(file, source);
    }
    return source;
  }

  #fields(declaration: ts.InterfaceDeclaration): Fields {
    const fields = declaration.members.flatMap((member) => {
      if (!ts.isPropertySignature(member) || !member.type) return [];
      const name = ts.isIdentifier(member.name) || ts.isStringLiteral(member.name) ? member.name.text : "";
      return [[name, { shape: this.#shape(member.type), required: member.questionToken === undefined }] as const];
    });
    return Object.fromEntries(fields);
  }

  #shape(node: ts.TypeNode): Shape {
    if (ts.isParenthesizedTypeNode(node)) return this.#shape(node.type);
    if (ts.isArrayTypeNode(node)) return { kind: "array", of: this.#shape(node.elementType) };
    if (ts.isUnionTypeNode(node)) {
      const some = node.types.filter((t) => t.kind !== ts.SyntaxKind.UndefinedKeyword).map((t) => this.#shape(t));
      return some.length === 1 ? (some[0] as Shape) : { kind: "union", of: some };
    }
    if (ts.isTypeLiteralNode(node)) {
      const [index] = node.members;
      return index && ts.isIndexSignatureDeclaration(index)
        ? { kind: "map", of: this.#shape(index.type) }
        : { kind: "any" };
    }
    if (ts.isTypeReferenceNode(node)) return this.#reference(node);
    switch (node.kind) {
      case ts.SyntaxKind.StringKeyword:
        return { kind: "string" };
      case ts.SyntaxKind.NumberKeyword:
        return { kind: "number" };
      case ts.SyntaxKind.BooleanKeyword:
        return { kind: "boolean" };
      default:
        return { kind: "any" };
    }
  }

  #reference(node: ts.TypeReferenceNode): Shape {
    const name = nameOf(node.typeName);
    const [argument] = node.typeArguments ?? [];
    if (argument && /^(pulumi\.)?Input$/.test(name)) return this.#shape(argument);
    if (argument && name === "Array") return { kind: "array", of: this.#shape(argument) };
    if (name.startsWith("inputs.")) return this.#object(name.slice("inputs.".length));
    if (name.startsWith("enums.")) return this.#enum(name.slice("enums.".length));
    return TEXT.has(name.split(".").pop() ?? "") ? { kind: "string" } : { kind: "any" };
  }

  /** @param name `network.SubResourceArgs`, of types/input.d.ts */
  #object(name: string): Shape {
    const declaration = this.#interfaces("types/input.d.ts").get(name);
    if (!declaration) throw new Error(`@pulumi/${this.pkg}: types/input.d.ts has no ${name}`);
    return { kind: "object", name, fields: () => this.#fields(declaration) };
  }

  #interfaces(file: string): Map<string, ts.InterfaceDeclaration> {
    const known = this.#index.get(file);
    if (known) return known;
    const index = new Map<string, ts.InterfaceDeclaration>();
    const visit = (statements: ts.NodeArray<ts.Statement>, prefix: string): void => {
      for (const statement of statements) {
        if (ts.isInterfaceDeclaration(statement)) index.set(prefix + statement.name.text, statement);
        if (ts.isModuleDeclaration(statement) && statement.body && ts.isModuleBlock(statement.body)) {
          visit(statement.body.statements, `${prefix}${statement.name.text}.`);
        }
      }
    };
    visit(this.#file(file).statements, "");
    this.#index.set(file, index);
    return index;
  }

  /** @param name `containerservice.OSType`; its values are the literal types of a constant object. */
  #enum(name: string): Shape {
    const parts = name.split(".");
    const constant = parts.pop();
    const file = ["types", "enums", ...parts, "index.d.ts"].join("/");
    if (!existsSync(path.join(this.#root, file))) return { kind: "any" };
    for (const statement of this.#file(file).statements) {
      if (!ts.isVariableStatement(statement)) continue;
      for (const { name: id, type } of statement.declarationList.declarations) {
        if (!ts.isIdentifier(id) || id.text !== constant || !type || !ts.isTypeLiteralNode(type)) continue;
        return { kind: "one-of", values: type.members.flatMap(literalOf) };
      }
    }
    return { kind: "any" };
  }
}

const nameOf = (name: ts.EntityName): string =>
  ts.isIdentifier(name) ? name.text : `${nameOf(name.left)}.${name.right.text}`;

function literalOf(member: ts.TypeElement): (string | number)[] {
  if (!ts.isPropertySignature(member) || !member.type || !ts.isLiteralTypeNode(member.type)) return [];
  const { literal } = member.type;
  if (ts.isStringLiteral(literal)) return [literal.text];
  return ts.isNumericLiteral(literal) ? [Number(literal.text)] : [];
}

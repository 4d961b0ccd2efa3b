/**
 * Compiles the Rego texts under policy/ to WebAssembly with the pinned OPA (tools/opa/go.mod) and writes
 * policy/compiled/: one .wasm per text, and manifest.json with the SHA-256 of source and result.
 * `npm run policy:build` after every change of a .rego file; the results are committed, so users need neither Go nor OPA.
 */
const { execFileSync } = require("node:child_process");
const { createHash } = require("node:crypto");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

const ROOT = path.resolve(__dirname, "..");
const OPA_VERSION = "1.22.2";

const TRUST = ["policy/trust_claims", "policy/extensions"];
/** The texts; `tail` is added before compiling, to give in as data what the delivered text carries at its end. */
const TEXTS = [
  {
    name: "agent",
    source: "policy/agent/rules.rego",
    tail: "\npolicy_data := data.sealflow_policy_data\n",
    entrypoints: (text) =>
      [...new Set(text.match(/^(?:default )?([A-Z]\w+)(?= )/gm))].map(
        (m) => `agent_policy/${m.replace("default ", "")}`,
      ),
  },
  { name: "resource", source: "policy/trustee/resource.rego", entrypoints: () => ["policy/allow"] },
  {
    name: "attestation-cpu-development",
    source: "policy/trustee/attestation-cpu-development.rego",
    entrypoints: () => TRUST,
  },
  {
    name: "attestation-cpu-production",
    source: "policy/trustee/attestation-cpu-production.rego",
    entrypoints: () => TRUST,
  },
  { name: "attestation-gpu", source: "policy/trustee/attestation-gpu.rego", entrypoints: () => TRUST },
];

/** @returns {string} path of the OPA binary, built from the pinned module when it is not in the cache. */
function findOpa() {
  const cache = process.env.SEALFLOW_CACHE || path.join(os.homedir(), ".cache", "sealflow");
  const binary = path.join(cache, "opa", `opa-v${OPA_VERSION}`);
  if (fs.existsSync(binary)) return binary;
  console.error(`policy:build: building OPA ${OPA_VERSION} with Go (about a minute, once)`);
  fs.mkdirSync(path.dirname(binary), { recursive: true });
  const temporary = `${binary}.${process.pid}`;
  try {
    execFileSync("go", ["build", "-trimpath", "-o", temporary, "github.com/open-policy-agent/opa"], {
      cwd: path.join(ROOT, "tools", "opa"),
      stdio: ["ignore", "inherit", "inherit"],
    });
  } catch (cause) {
    throw new Error("policy:build needs Go 1.26 or newer on PATH (to build OPA), or OPA in the cache", { cause });
  }
  fs.renameSync(temporary, binary);
  return binary;
}

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

/** @param {string} out folder for the results. @returns the manifest. */
function build(out, opa = findOpa()) {
  const work = fs.mkdtempSync(path.join(os.tmpdir(), "sealflow-policy-"));
  try {
    const capabilities = path.join(work, "capabilities.json");
    fs.writeFileSync(capabilities, JSON.stringify(withReferenceValues(opa)));
    const manifest = { opa: OPA_VERSION, texts: {} };
    fs.mkdirSync(out, { recursive: true });
    for (const { name, source, tail = "", entrypoints } of TEXTS) {
      const text = fs.readFileSync(path.join(ROOT, source), "utf8");
      const wasm = withoutNames(compile(opa, capabilities, work, name, text + tail, entrypoints(text)));
      fs.writeFileSync(path.join(out, `${name}.wasm`), wasm);
      manifest.texts[name] = { source, sourceSha256: sha256(text), wasmSha256: sha256(wasm), bytes: wasm.length };
    }
    fs.writeFileSync(path.join(out, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
    return manifest;
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

/** OPA's own capabilities and Trustee's one extra function. */
function withReferenceValues(opa) {
  const all = JSON.parse(execFileSync(opa, ["capabilities", "--current"], { encoding: "utf8", maxBuffer: 1 << 26 }));
  all.builtins.push({
    name: "query_reference_value",
    decl: { type: "function", args: [{ type: "string" }], result: { type: "any" } },
  });
  return all;
}

/** Runs in `work` with relative names: OPA writes the name of the source into its output. */
function compile(opa, capabilities, work, name, text, entrypoints) {
  const source = `${name}.rego`;
  const bundle = `${name}.tar.gz`;
  fs.writeFileSync(path.join(work, source), text);
  const entries = entrypoints.flatMap((e) => ["-e", e]);
  execFileSync(opa, ["build", "-t", "wasm", "--capabilities", capabilities, ...entries, "-o", bundle, source], {
    cwd: work,
    stdio: ["ignore", "inherit", "inherit"],
  });
  // Both GNU and BSD tar drop the leading slash of the member; GNU tar mentions it.
  execFileSync("tar", ["-xzf", bundle, "/policy.wasm"], { cwd: work, stdio: "ignore" });
  return fs.readFileSync(path.join(work, "policy.wasm"));
}

/** Drops custom sections (id 0): names for debuggers, no meaning. */
function withoutNames(wasm) {
  const kept = [wasm.subarray(0, 8)];
  for (let at = 8; at < wasm.length; ) {
    const start = at;
    const id = wasm[at++];
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = wasm[at++];
      size |= (byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) break;
    }
    at += size;
    if (id !== 0) kept.push(wasm.subarray(start, at));
  }
  return Buffer.concat(kept);
}

module.exports = { build, findOpa, TEXTS, OPA_VERSION };

if (require.main === module) {
  const manifest = build(path.join(ROOT, "policy", "compiled"));
  for (const [name, { bytes }] of Object.entries(manifest.texts)) console.log(`${name}: ${bytes} bytes`);
}

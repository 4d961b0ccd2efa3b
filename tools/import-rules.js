/**
 * Which top folder may import what (docs/design: folders are trust domains). One row per folder:
 * - own: folders of ours, or parts of them, besides the folder itself
 * - npm: packages by name; "any" = every dependency but Pulumi's
 * - node: Node's built-in modules; "any" = all
 */

const PULUMI = ["@pulumi/pulumi"];
/** Built-ins of a folder that is computation over bytes it is given. */
const PURE = ["node:assert", "node:buffer", "node:crypto", "node:util"];
/** The same, plus reading texts that lie beside the code. */
const READS_OWN_FILES = [...PURE, "node:fs", "node:path"];

/** @type {Record<string, {own: string[], npm: string[] | "any", node: string[] | "any"}>} */
const RULES = {
  // Hashing beside the cipher takes a thread; what it computes is still bytes in, bytes out. croner: which minutes a
  // schedule allows is a rule that ledger, guest and verify must read alike; pure, without dependencies.
  protocol: { own: [], npm: ["canonicalize", "croner"], node: [...PURE, "node:worker_threads"] },
  model: { own: ["protocol"], npm: ["ajv"], node: READS_OWN_FILES },
  policy: {
    own: ["protocol", "model"],
    npm: ["ajv", "pako", "smol-toml", "@open-policy-agent/opa-wasm"],
    node: [...READS_OWN_FILES, "node:zlib"],
  },
  guest: { own: ["protocol"], npm: [], node: "any" },
  "relying-party": { own: ["protocol", "policy"], npm: "any", node: "any" },
  owner: { own: ["protocol", "model", "policy"], npm: "any", node: "any" },
  untrusted: { own: ["protocol", "policy"], npm: "any", node: "any" },
  resources: { own: ["model"], npm: PULUMI, node: ["node:path", "node:util"] },
  provider: {
    own: [
      "protocol",
      "model",
      "policy",
      "owner",
      "untrusted",
      // Routes of this machine to a relying party.
      "relying-party/http",
      "relying-party/kbs-client",
      "relying-party/ledger-client",
      // Makes certificates of the relying party and keeps nothing.
      "relying-party/tls",
    ],
    npm: [...PULUMI, "@grpc/grpc-js", "google-protobuf"],
    node: "any",
  },
  // Kubernetes' package is an optional peer: only what components/kubernetes.ts exports may load it.
  components: {
    own: ["model", "policy", "resources"],
    npm: [...PULUMI, "@pulumi/kubernetes"],
    node: ["node:fs", "node:path", "node:util"],
  },
  "policy-pack": { own: ["model", "policy", "resources"], npm: [...PULUMI, "@pulumi/policy"], node: ["node:path"] },
  "index.ts": { own: ["model", "resources", "components"], npm: [], node: [] },
  stacks: { own: ["components", "resources", "sealflow", "examples"], npm: PULUMI, node: ["node:fs", "node:path"] },
  cli: {
    own: ["protocol", "model", "policy", "guest", "relying-party", "owner", "untrusted", "resources", "provider"],
    npm: [...PULUMI, "any"],
    node: "any",
  },
  // Programs that measure start the same worlds as the tests do.
  bench: {
    own: [
      "protocol",
      "model",
      "policy",
      "guest",
      "relying-party",
      "owner",
      "untrusted",
      "resources",
      "provider",
      "cli",
      "test",
      // Workflows as pipelines get them, in a cluster, to measure the engine alone.
      "components",
      "tools/cluster",
    ],
    npm: [...PULUMI, "any"],
    node: "any",
  },
  // Starts clusters for tests and for people, with the same cache and builds as the engine, and our node in them.
  "tools/cluster": {
    own: ["cli/engine", "relying-party/dev", "untrusted/node"],
    npm: ["@peculiar/x509"],
    node: "any",
  },
  // Plays Pulumi's Kubernetes provider in tests: the engine's wire form, and requests to an API server.
  "tools/kubernetes-provider": {
    own: ["cli/engine", "provider/server", "untrusted/kubernetes"],
    npm: ["@grpc/grpc-js", "google-protobuf", "@pulumi/pulumi", "@pulumi/kubernetes", "yaml"],
    node: "any",
  },
};

/**
 * SDKs of clouds stay in the folder of their cloud: whoever imports another entry of the package loads none of them. Only
 * their modules may be imported; type-checking a root costs seconds and hundreds of megabytes (biome.json refuses it
 * everywhere).
 * @type {Record<string, string[]>}
 */
const CLOUD_SDKS = {
  "@pulumi/azure-native": ["components/azure.ts", "components/azure"],
  "@pulumi/aws": ["components/aws.ts", "components/aws"],
};

module.exports = { RULES, CLOUD_SDKS };

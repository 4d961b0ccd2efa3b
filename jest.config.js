/** ESM-only packages are compiled for jest's own loader; plain Node (>= 20.19) requires them as they are. */
const esmOnly = [
  "jose",
  "canonicalize",
  "@peculiar/x509",
  "hono",
  "@hono",
  "kysely",
  "smol-toml",
  "fast-check",
  "pure-rand",
];
const swc = [
  "@swc/jest",
  { jsc: { parser: { syntax: "typescript" }, target: "es2023" }, module: { type: "commonjs" } },
];

module.exports = {
  testEnvironment: "node",
  roots: ["<rootDir>/test"],
  testMatch: ["**/*.test.ts"],
  transform: { "^.+\\.(ts|mjs|js)$": swc },
  transformIgnorePatterns: [`/node_modules/(?!(${esmOnly.join("|")})/)`],
  moduleNameMapper: {
    "^sealflow$": "<rootDir>/index.ts",
    "^sealflow/kubernetes$": "<rootDir>/components/kubernetes.ts",
  },
  testTimeout: 30_000,
};

/** What `--policy-pack` names: the engine runs a folder, and this one must hold no TypeScript of its own. */
try {
  require.resolve("@pulumi/policy");
} catch {
  console.error("sealflow's policy pack needs @pulumi/policy in this project: npm install --save-dev @pulumi/policy");
  process.exit(1);
}
require("../../dist/policy-pack/pack.js");

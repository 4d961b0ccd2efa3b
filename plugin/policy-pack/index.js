/** What `--policy-pack` names: the engine runs a folder, and this one must hold no TypeScript of its own. */
require("../../dist/policy-pack/pack.js");

/**
 * Runs an entry point of @pulumi/pulumi under this Node: node entry.js <module> [arguments]. For the plugins that the
 * engine starts itself (dynamic providers, policy packs of inline programs).
 */

const { resolveFrom, searchFolders } = require("./libraries.js");

const [, , specifier, ...args] = process.argv;
const script = resolveFrom(specifier, searchFolders());
process.argv = [process.argv[0], script, ...args];
require(script);

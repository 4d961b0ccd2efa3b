/**
 * Finds @pulumi/pulumi and the libraries that belong to it. The host is copied beside the engine, far from any
 * node_modules, so it looks where the program is: the project, then the package that started the engine.
 */

const { createRequire } = require("node:module");
const path = require("node:path");

/** Folders to look from: the working folder the engine gave us, then Sealflow's own package. */
function searchFolders() {
  return [process.cwd(), process.env.SEALFLOW_PACKAGE_ROOT, __dirname].filter((folder) => folder !== undefined);
}

/**
 * @param {string} specifier for example `@pulumi/pulumi/cmd/run`
 * @param {string[]} folders where to look, best first
 * @returns {string} absolute path
 * @throws {Error} naming every folder, when it is in none of them
 */
function resolveFrom(specifier, folders) {
  for (const folder of folders) {
    try {
      return createRequire(path.join(folder, "/")).resolve(specifier);
    } catch (error) {
      if (error.code !== "MODULE_NOT_FOUND" && error.code !== "ERR_PACKAGE_PATH_NOT_EXPORTED") throw error;
    }
  }
  throw new Error(`${specifier} is not installed in ${folders.join(" or ")}: run "npm install" there`);
}

/**
 * @pulumi/pulumi's stubs with the very copies of gRPC and protobuf they were made with (another copy would not
 * recognise their messages).
 */
function loadLibraries() {
  const sdk = createRequire(resolveFrom("@pulumi/pulumi/package.json", searchFolders()));
  return {
    grpc: sdk("@grpc/grpc-js"),
    services: sdk("@pulumi/pulumi/proto/language_grpc_pb"),
    messages: sdk("@pulumi/pulumi/proto/language_pb"),
    plugins: sdk("@pulumi/pulumi/proto/plugin_pb"),
    Empty: sdk("google-protobuf/google/protobuf/empty_pb").Empty,
    sdkVersion: sdk("@pulumi/pulumi/package.json").version,
  };
}

module.exports = { loadLibraries, resolveFrom, searchFolders };

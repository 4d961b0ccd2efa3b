/** `Run`: one execution of a Pulumi program, by @pulumi/pulumi/cmd/run in a process of its own. */

const { resolveFrom, searchFolders } = require("./libraries.js");

/** @pulumi/pulumi/cmd/run ends with this code when it has told the user everything there is to say. */
const ALREADY_REPORTED = 32;

/**
 * @param {object} request pulumirpc.RunRequest
 * @param {string} engine address of the engine's own service, for log messages of the program
 * @param {ReturnType<import("./libraries.js").loadLibraries>} libraries
 * @param {import("./children.js").Children} children
 * @returns {Promise<object>} pulumirpc.RunResponse
 */
async function runProgram(request, engine, libraries, children) {
  const info = request.getInfo();
  const folder = info.getProgramDirectory();
  const options = info.getOptions()?.toJavaScript() ?? {};
  const args = [...nodeArguments(options), resolveFrom("@pulumi/pulumi/cmd/run", [folder, ...searchFolders()])];
  const add = (name, value) => {
    if (value) args.push(`--${name}`, String(value));
  };
  add("monitor", request.getMonitorAddress());
  add("engine", engine);
  add("organization", request.getOrganization());
  add("project", request.getProject());
  add("root-directory", info.getRootDirectory());
  add("stack", request.getStack());
  add("pwd", folder);
  if (request.getDryrun()) args.push("--dry-run");
  add("parallel", request.getParallel());
  args.push(info.getEntryPoint(), ...request.getArgsList());

  const child = children.start(args, {
    cwd: request.getPwd() || folder,
    env: {
      ...process.env,
      // Both by environment as the SDK reads them there; secret values are never arguments.
      PULUMI_CONFIG: JSON.stringify(configuration(request.getConfigMap())),
      PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(request.getConfigsecretkeysList()),
      PULUMI_NODEJS_TYPESCRIPT: String(options.typescript ?? true),
    },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const { code, signal, error } = await child.ended;

  const response = new libraries.messages.RunResponse();
  if (error !== undefined) response.setError(`cannot start ${process.execPath}: ${error.message}`);
  else if (signal !== null) response.setError(`the program was ended by ${signal}`);
  else if (code === ALREADY_REPORTED) response.setBail(true);
  else if (code !== 0) response.setError(`the program ended with exit code ${code}`);
  return response;
}

/** The engine's keys are `namespace:name`; the SDK reads `namespace:config:name`. */
function configuration(map) {
  const config = {};
  map.forEach((value, key) => {
    const parts = key.split(":");
    config[parts.length === 2 ? `${parts[0]}:config:${parts[1]}` : key] = value;
  });
  return config;
}

/** Pulumi.yaml's runtime option `nodeargs`, as the official host has it: words for node itself. */
function nodeArguments(options) {
  return typeof options.nodeargs === "string" ? options.nodeargs.split(/\s+/).filter((word) => word !== "") : [];
}

module.exports = { runProgram };

/** `RunPlugin`: a policy pack or a plugin written in TypeScript or JavaScript; runs until the engine cancels it. */

const { resolveFrom, searchFolders } = require("./libraries.js");

/**
 * @param {object} call server stream; its request is pulumirpc.RunPluginRequest
 * @param {ReturnType<import("./libraries.js").loadLibraries>} libraries
 * @param {import("./children.js").Children} children
 */
function runPlugin(call, libraries, children) {
  const request = call.request;
  const folder = request.getInfo().getProgramDirectory();
  const options = request.getInfo().getOptions()?.toJavaScript() ?? {};
  const isPolicyPack = request.getKind() === "analyzer";
  const entry = isPolicyPack ? "@pulumi/pulumi/cmd/run-policy-pack" : "@pulumi/pulumi/cmd/run-plugin";
  const script = resolveFrom(entry, [folder, ...searchFolders()]);
  const given = request.getArgsList();

  const child = children.start(isPolicyPack ? [script, ...given, folder] : [script, folder, ...given], {
    cwd: isPolicyPack ? folder : request.getPwd() || folder,
    env: {
      ...process.env,
      ...environment(request.getEnvList()),
      PULUMI_NODEJS_TYPESCRIPT: String(options.typescript ?? true),
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const write = (setter, value) => {
    const response = new libraries.messages.RunPluginResponse();
    response[setter](value);
    call.write(response);
  };
  child.process.stdout?.on("data", (data) => write("setStdout", data));
  child.process.stderr?.on("data", (data) => write("setStderr", data));
  call.on("cancelled", () => child.process.kill());
  child.ended.then(({ code, error }) => {
    if (error !== undefined) write("setStderr", Buffer.from(`cannot start ${process.execPath}: ${error.message}\n`));
    write("setExitcode", code ?? 1);
    call.end();
  });
}

/** @param {string[]} entries `NAME=value` */
function environment(entries) {
  return Object.fromEntries(
    entries.map((entry) => {
      const at = entry.indexOf("=");
      return [entry.slice(0, at), entry.slice(at + 1)];
    }),
  );
}

module.exports = { runPlugin };

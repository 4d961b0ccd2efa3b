/**
 * Pulumi's language host "nodejs". The engine starts it with its own address as the first plain argument, reads the
 * port from the first line of standard output, and calls the service `pulumirpc.LanguageRuntime` there.
 */

const { Children } = require("./children.js");
const { loadLibraries } = require("./libraries.js");
const { runPlugin } = require("./plugin.js");
const { runProgram } = require("./program.js");

const libraries = loadLibraries();
const { grpc, services, messages, plugins, Empty } = libraries;
const engine = process.argv.slice(2).find((argument) => !argument.startsWith("-")) ?? "";
const children = new Children();

/** A call with one answer. Errors go to the engine as text: they name folders and packages, never configuration. */
function answer(handle) {
  return (call, callback) => {
    Promise.resolve()
      .then(() => handle(call.request))
      .then(
        (response) => callback(null, response),
        (error) => callback({ code: grpc.status.UNKNOWN, details: error.message }),
      );
  };
}

/** What is not listed is answered "unimplemented", which the engine takes for an older host. */
const service = {
  handshake: answer(() => new messages.LanguageHandshakeResponse()),
  getPluginInfo: answer(() => {
    const info = new plugins.PluginInfo();
    info.setVersion(libraries.sdkVersion);
    return info;
  }),
  // Empty: resources name the provider version they want when they register, and Pulumi.yaml names local plugins.
  getRequiredPackages: answer(() => new messages.GetRequiredPackagesResponse()),
  getRequiredPlugins: answer(() => new messages.GetRequiredPluginsResponse()),
  getProgramDependencies: answer(() => new messages.GetProgramDependenciesResponse()),
  runtimeOptionsPrompts: answer(() => new messages.RuntimeOptionsResponse()),
  about: answer(() => {
    const about = new messages.AboutResponse();
    about.setExecutable(process.execPath);
    about.setVersion(process.version);
    return about;
  }),
  // npm installs what a program needs; the engine is never asked to.
  installDependencies: (call) => call.end(),
  run: answer((request) => runProgram(request, engine, libraries, children)),
  runPlugin: (call) => {
    try {
      runPlugin(call, libraries, children);
    } catch (error) {
      call.destroy(Object.assign(error, { code: grpc.status.UNKNOWN, details: error.message }));
    }
  },
  cancel: answer(() => {
    children.stopAll("SIGINT");
    return new Empty();
  }),
};

const server = new grpc.Server({ "grpc.max_receive_message_length": 400 * 1024 * 1024 });
server.addService(services.LanguageRuntimeService, service);
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  children.followParent();
  process.stdout.write(`${port}\n`);
});

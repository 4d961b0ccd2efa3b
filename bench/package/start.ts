/**
 * Starts a stack's program as Pulumi's language host does and waits for its first resource. Engine and resource monitor
 * are played: they answer what a program asks until then.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type handleUnaryCall, Server, ServerCredentials } from "@grpc/grpc-js";
import { EngineService } from "@pulumi/pulumi/proto/engine_grpc_pb";
import { type LogRequest, SetRootResourceResponse } from "@pulumi/pulumi/proto/engine_pb";
import { ResourceMonitorService } from "@pulumi/pulumi/proto/resource_grpc_pb";
import {
  type RegisterResourceRequest,
  RegisterResourceResponse,
  SupportsFeatureResponse,
} from "@pulumi/pulumi/proto/resource_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { parse } from "yaml";
import { ROOT } from "../support/child";
import { FILLED } from "../support/filled";
import { cpuSecondsOf, type Spent } from "../support/machine";

/** Programs of stacks/, each with the configuration of its template; local and kubernetes need none. */
export const STACKS = ["local", "kubernetes", "azure", "aws", "baremetal"] as const;
export type Stack = (typeof STACKS)[number];

const PATIENCE_MS = 120_000;

/**
 * @param cache folder of what Node compiled, as the command line keeps one. Default: none, each start compiles everything.
 * @returns from the program's start to its first resource besides the stack itself, with which all others come: a program
 *   registers while it runs, and the engine hears of it when it waits.
 */
export async function firstResource(stack: Stack, cache?: string): Promise<Spent> {
  const config = JSON.stringify(configOf(stack));
  const server = new Server();
  let report: (type: string) => void = () => {};
  const first = new Promise<string>((resolve) => {
    report = resolve;
  });
  server.addService(ResourceMonitorService, monitor(report));
  server.addService(EngineService, engine);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  const address = `127.0.0.1:${port}`;
  const words = ["--monitor", address, "--engine", address, "--project", "sealflow", "--stack", stack, "--dry-run"];
  const { runtime } = parse(readFileSync(join(ROOT, "Pulumi.yaml"), "utf8"));
  const started = performance.now();
  const child = spawn(
    process.execPath,
    [
      ...runtime.options.nodeargs.split(" "),
      join(ROOT, "node_modules/@pulumi/pulumi/cmd/run"),
      ...words,
      "--pwd",
      ROOT,
      "stacks/index.ts",
    ],
    {
      cwd: ROOT,
      stdio: ["ignore", "ignore", "pipe"],
      env: {
        ...process.env,
        ...(cache === undefined ? { NODE_DISABLE_COMPILE_CACHE: "1" } : { NODE_COMPILE_CACHE: cache }),
        // As cli/engine and tools/language-host set them.
        PULUMI_NODEJS_TRANSPILE_ONLY: "true",
        PULUMI_NODEJS_TYPESCRIPT: "true",
        PULUMI_CONFIG: config,
      },
    },
  );
  let said = "";
  child.stderr.on("data", (piece) => {
    said += piece;
  });
  const ended = new Promise<never>((_resolve, reject) =>
    child.once("close", (code) => reject(new Error(`stacks/${stack}.ts ended with ${code}: ${said.slice(0, 2000)}`))),
  );
  ended.catch(() => undefined);
  const late = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
  try {
    await Promise.race([first, ended]);
    const seconds = (performance.now() - started) / 1000;
    const cpu = cpuSecondsOf(child.pid as number);
    if (cpu === undefined) return await ended;
    return { seconds, cpu };
  } finally {
    server.forceShutdown();
    // Without its engine it ends by itself, and only then keeps what it compiled.
    if (cache !== undefined) await ended.catch(() => undefined);
    clearTimeout(late);
    child.kill("SIGKILL");
  }
}

/** Values of the stack's template as Pulumi hands them over: text, objects as JSON. */
function configOf(stack: Stack): Record<string, string> {
  const template = `stacks/config/Pulumi.${stack}.yaml`;
  const project = parse(readFileSync(join(ROOT, "Pulumi.yaml"), "utf8")).config as Record<
    string,
    { default?: unknown }
  >;
  const defaults = Object.entries(project).map(([name, { default: value }]) => [`sealflow:${name}`, value] as const);
  const values = stack === "local" || stack === "kubernetes" ? {} : parse(filled(template)).config;
  const given = Object.entries({ "sealflow:kubeconfig": "{}", ...Object.fromEntries(defaults), ...values });
  return Object.fromEntries(
    given
      .filter(([, value]) => value !== undefined && value !== null)
      .map(([name, value]) => [
        name.replace(":", ":config:"),
        typeof value === "object" ? JSON.stringify(value) : String(value),
      ]),
  );
}

/** With something in place of what users fill in; where a check would refuse just anything, with what tests fill in. */
const filled = (file: string): string =>
  Object.entries(FILLED)
    .reduce((text, [from, to]) => text.replaceAll(from, to), readFileSync(join(ROOT, file), "utf8"))
    .replaceAll(/<[^>\n]*>/g, "example");

// biome-ignore lint/suspicious/noExplicitAny: each handler knows its message.
type Handlers = Record<string, handleUnaryCall<any, unknown>>;

const monitor = (report: (type: string) => void): Handlers => ({
  supportsFeature: (_call, answer) => answer(null, new SupportsFeatureResponse()),
  registerResource: (call, answer) => {
    const request: RegisterResourceRequest = call.request;
    const type = request.getType();
    if (type !== "pulumi:pulumi:Stack") report(type);
    const response = new RegisterResourceResponse();
    response.setUrn(`urn:pulumi:bench::sealflow::${type}::${request.getName()}`);
    answer(null, response);
  },
  registerResourceOutputs: (_call, answer) => answer(null, new Empty()),
});

const engine: Handlers = {
  log: (call, answer) => {
    const request: LogRequest = call.request;
    if (request.getSeverity() === 3) process.stderr.write(`${request.getMessage()}\n`);
    answer(null, new Empty());
  },
  setRootResource: (_call, answer) => answer(null, new SetRootResourceResponse()),
};

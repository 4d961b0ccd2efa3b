/** Pulumi's Kubernetes provider for tests: the real one where it is found, else the stand-in. */
import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb";
import { packageRoot } from "../../cli/engine";
import { which } from "../../cli/engine/path-engine";
import { createStandIn } from "./service";

const PLUGIN = "pulumi-resource-kubernetes";

/** Whether the real plugin is on PATH or in a plugin cache. */
export function hasRealProvider(env: NodeJS.ProcessEnv = process.env): boolean {
  if (which(PLUGIN, env.PATH) !== undefined) return true;
  const plugins = join(env.PULUMI_HOME ?? join(homedir(), ".pulumi"), "plugins");
  return existsSync(plugins) && readdirSync(plugins).some((name) => /^resource-kubernetes-v[\d.]+$/.test(name));
}

/** Additions to the environment of `pulumi` in tests. */
export function kubernetesProviderEnvironment(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  if (hasRealProvider(env)) return {};
  const plugin = join(packageRoot(), "tools", "kubernetes-provider", "plugin");
  return { PATH: [plugin, env.PATH ?? ""].join(delimiter), SEALFLOW_NODE: process.execPath };
}

/** Serves the stand-in on loopback. */
export async function serveStandIn(): Promise<{ port: number; close: () => void }> {
  const unlimited = { "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 };
  const server = new Server(unlimited);
  server.addService(ResourceProviderService, createStandIn());
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return { port, close: () => server.forceShutdown() };
}

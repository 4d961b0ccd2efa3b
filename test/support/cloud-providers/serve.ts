/** Serves a stand-in cloud on loopback, in this process or, by the executables beside, in one of its own. */
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb";
import type { CloudModel } from "./model";
import { createCloudService } from "./service";
import type { Store } from "./store";

export interface RunningCloud {
  readonly port: number;
  readonly close: () => void;
}

export async function serveCloud(model: CloudModel, store: Store): Promise<RunningCloud> {
  const server = new Server({ "grpc.max_receive_message_length": -1 });
  server.addService(ResourceProviderService, createCloudService(model, store));
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return { port, close: () => server.forceShutdown() };
}

import { Server, ServerCredentials } from "@grpc/grpc-js";
import { ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb";
import { createService, type ServiceOptions } from "./service";

export interface RunningProvider {
  readonly port: number;
  readonly close: () => Promise<void>;
}

/** Serves on loopback, on a port that the system chooses. The engine is the only client; it learns the port from stdout. */
export async function serve(options: ServiceOptions): Promise<RunningProvider> {
  // Descriptors of large pipelines exceed gRPC's default of 4 MiB.
  const unlimited = { "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 };
  const server = new Server(unlimited);
  server.addService(ResourceProviderService, createService(options));
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return {
    port,
    close: () =>
      new Promise((resolve) => {
        server.tryShutdown(() => resolve());
        setTimeout(() => server.forceShutdown(), 1000).unref();
      }),
  };
}

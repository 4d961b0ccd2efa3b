/**
 * Runs Pulumi programs for engine-stack.ts, in a process of its own: what a program throws late, in an `apply`, is seen by
 * the SDK only where `process` is the real one, which it is not under jest.
 * Usage: node --require typescript.js program-host.ts; told by messages what to run, says its port by one.
 */
import { Server, ServerCredentials, type UntypedServiceImplementation } from "@grpc/grpc-js";
import { LanguageRuntimeService } from "@pulumi/pulumi/proto/language_grpc_pb";

/** Which function of which module is the program, and what it is called with. */
export interface ProgramChoice {
  readonly module: string;
  readonly name: string;
  readonly args: unknown;
}

/** The Automation API's own, for programs that are functions; not in its declarations. */
const { LanguageServer } = require("@pulumi/pulumi/automation/server") as {
  LanguageServer: new (program: () => Promise<unknown>) => UntypedServiceImplementation;
};

let choice: ProgramChoice | undefined;
process.on("message", (next: ProgramChoice) => {
  choice = next;
  process.send?.({ chosen: true });
});

const server = new Server({ "grpc.max_receive_message_length": -1 });
const language = new LanguageServer(async () => {
  if (!choice) throw new Error("no program was chosen");
  return require(choice.module)[choice.name](choice.args);
});
server.addService(LanguageRuntimeService, language);
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  process.send?.({ port });
});

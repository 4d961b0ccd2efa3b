/** The ResourceProvider service (pulumi/pulumi, proto/pulumi/provider.proto): gRPC messages to operations and back. */
import { type handleUnaryCall, type ServiceError, status } from "@grpc/grpc-js";
import { PluginInfo } from "@pulumi/pulumi/proto/plugin_pb";
import type { IResourceProviderServer } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as pb from "@pulumi/pulumi/proto/provider_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { SealflowError } from "../../protocol/errors";
import type { Context } from "./context";
import type { AnyDefinition, Failure } from "./definition";
import type { Change } from "./diff";
import { createEngineLog } from "./engine-log";
import { ProviderError } from "./errors";
import * as operations from "./operations";
import { packageSchema } from "./schema";
import { terminalSafe } from "./text";
import { fromStruct, toStruct } from "./values";

export interface ServiceOptions {
  readonly version: string;
  readonly definitions: readonly AnyDefinition[];
  /** Called for every operation: the project is looked up late, so that `getSchema` works anywhere. */
  readonly project: () => Pick<Context, "root" | "home" | "env" | "now">;
  /** Address of the engine's log service, when known at start. */
  readonly engine?: string | undefined;
}

export const tokenOf = (definition: AnyDefinition): string => `sealflow:index:${definition.name}`;

export function createService(options: ServiceOptions): IResourceProviderServer {
  const log = createEngineLog();
  if (options.engine) log.connect(options.engine);
  const byToken = new Map(options.definitions.map((definition) => [tokenOf(definition), definition]));
  const running = new Set<AbortController>();

  /** `urn:pulumi:stack::project::parent$type::name` */
  const definitionOf = (urn: string): AnyDefinition => {
    const token = urn.split("::")[2]?.split("$").pop() ?? "";
    const definition = byToken.get(token);
    if (definition) return definition;
    const known = [...byToken.keys()].join(", ");
    throw new ProviderError("UNSUPPORTED", `sealflow ${options.version} has no resource "${token}" (has ${known})`);
  };

  /** Runs `work` with a context that ends with the engine's cancel or the timeout (seconds, 0: none). */
  async function during<T>(urn: string, timeout: number, work: (context: Context) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    const timer = timeout > 0 ? setTimeout(() => controller.abort(timedOut(timeout)), timeout * 1000) : undefined;
    running.add(controller);
    const own = log.of(urn);
    try {
      return await work({ ...options.project(), log: own, signal: controller.signal });
    } finally {
      clearTimeout(timer);
      running.delete(controller);
      own.end();
      await log.flush();
    }
  }

  return {
    handshake: unary(async (request: pb.ProviderHandshakeRequest) => {
      log.connect(request.getEngineAddress());
      return new pb.ProviderHandshakeResponse().setAcceptSecrets(true);
    }),
    attach: unary(async (request: { getAddress(): string }) => {
      log.connect(request.getAddress());
      return new Empty();
    }),
    getPluginInfo: unary(async () => new PluginInfo().setVersion(options.version)),
    getSchema: unary(async () =>
      new pb.GetSchemaResponse().setSchema(JSON.stringify(packageSchema(options.version, options.definitions))),
    ),
    checkConfig: unary(async (request: pb.CheckRequest) => new pb.CheckResponse().setInputs(request.getNews())),
    diffConfig: unary(async () => new pb.DiffResponse().setChanges(pb.DiffResponse.DiffChanges.DIFF_NONE)),
    configure: unary(async () => new pb.ConfigureResponse().setAcceptsecrets(true).setSupportspreview(true)),
    cancel: unary(async () => {
      const reason = new ProviderError("CANCELLED", "cancelled. Run `pulumi up` again: it goes on where this stopped");
      for (const controller of running) controller.abort(reason);
      return new Empty();
    }),

    check: unary(async (request: pb.CheckRequest) => {
      const definition = definitionOf(request.getUrn());
      const { inputs, failures } = await during(request.getUrn(), 0, (context) =>
        operations.check(
          request.getUrn(),
          definition,
          context,
          fromStruct(request.getNews()),
          fromStruct(request.getOlds()),
        ),
      );
      return new pb.CheckResponse()
        .setInputs(toStruct(inputs))
        .setFailuresList(failures.map((failure) => checkFailure(definition, failure)));
    }),

    diff: unary(async (request: pb.DiffRequest) => {
      const outputs = fromStruct(request.getOlds());
      const inputs = request.hasOldInputs() ? fromStruct(request.getOldInputs()) : outputs;
      const ignore = request.getIgnorechangesList();
      const definition = definitionOf(request.getUrn());
      const changes = operations.diff(definition, { inputs, outputs }, fromStruct(request.getNews()), ignore);
      return diffResponse(changes).setDeletebeforereplace(definition.deleteFirst === true);
    }),

    create: unary(async (request: pb.CreateRequest) => {
      const definition = definitionOf(request.getUrn());
      const made = await during(request.getUrn(), request.getTimeout(), (context) =>
        operations.create(definition, context, fromStruct(request.getProperties()), request.getPreview()),
      );
      return new pb.CreateResponse().setId(made.id).setProperties(toStruct(made.outputs));
    }),

    update: unary(async (request: pb.UpdateRequest) => {
      const definition = definitionOf(request.getUrn());
      const old = {
        id: request.getId(),
        inputs: fromStruct(request.getOldInputs()),
        outputs: fromStruct(request.getOlds()),
      };
      const outputs = await during(request.getUrn(), request.getTimeout(), (context) =>
        operations.update(definition, context, old, fromStruct(request.getNews()), request.getPreview()),
      );
      return new pb.UpdateResponse().setProperties(toStruct(outputs));
    }),

    read: unary(async (request: pb.ReadRequest) => {
      const definition = definitionOf(request.getUrn());
      const old = {
        id: request.getId(),
        inputs: fromStruct(request.getInputs()),
        outputs: fromStruct(request.getProperties()),
      };
      const outputs = await during(request.getUrn(), request.getTimeout(), (context) =>
        operations.read(definition, context, old),
      );
      const response = new pb.ReadResponse();
      if (!outputs) return response;
      return response.setId(old.id).setProperties(toStruct(outputs)).setInputs(toStruct(old.inputs));
    }),

    delete: unary(async (request: pb.DeleteRequest) => {
      const definition = definitionOf(request.getUrn());
      const old = {
        id: request.getId(),
        inputs: fromStruct(request.getOldInputs()),
        outputs: fromStruct(request.getProperties()),
      };
      await during(request.getUrn(), request.getTimeout(), (context) => operations.remove(definition, context, old));
      return new Empty();
    }),

    parameterize: unsupported("Parameterize"),
    invoke: unsupported("Invoke"),
    call: unsupported("Call"),
    construct: unsupported("Construct"),
    list: (call) => call.destroy(unimplemented("List")),
    getMapping: unsupported("GetMapping"),
    getMappings: unsupported("GetMappings"),
  };
}

const timedOut = (seconds: number) =>
  new ProviderError("CANCELLED", `not done after ${seconds} s. Raise the resource's customTimeouts, then try again`);

function unary<Request, Response>(work: (request: Request) => Promise<Response>): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    Promise.resolve()
      .then(() => work(call.request))
      .then(
        (response) => callback(null, response),
        (error: unknown) => callback({ code: status.UNKNOWN, details: terminalSafe(describe(error)) }),
      );
  };
}

/** The code goes last: the message is for people. Unexpected errors show where they arose. */
function describe(error: unknown): string {
  if (error instanceof SealflowError) return `${error.message} [${error.code}]`;
  if (!(error instanceof Error)) return String(error);
  const place =
    error.stack
      ?.split("\n")
      .find((line) => line.includes(" at "))
      ?.trim() ?? "";
  return `${error.message} (${place})`;
}

const unimplemented = (method: string) =>
  Object.assign(new Error(`sealflow does not offer ${method}`), { code: status.UNIMPLEMENTED }) as ServiceError;

function unsupported(method: string): handleUnaryCall<unknown, never> {
  return (_call, callback) => callback(unimplemented(method));
}

/** The engine shows the value of a property that it is told; a secret's is left out by not naming the property. */
function checkFailure(definition: AnyDefinition, { property, reason }: Failure): pb.CheckFailure {
  const hidden = definition.inputs[property]?.secret === true;
  return new pb.CheckFailure()
    .setProperty(hidden ? "" : property)
    .setReason(hidden ? `${property}: ${reason}` : reason);
}

function diffResponse(changes: readonly Change[]): pb.DiffResponse {
  const { DIFF_NONE, DIFF_SOME } = pb.DiffResponse.DiffChanges;
  const response = new pb.DiffResponse().setChanges(changes.length === 0 ? DIFF_NONE : DIFF_SOME);
  response.setHasdetaileddiff(true);
  const top = (path: string) => /^[^.[]+/.exec(path)?.[0] ?? path;
  response.setDiffsList([...new Set(changes.map((change) => top(change.path)))]);
  response.setReplacesList([...new Set(changes.filter((c) => c.replace).map((change) => top(change.path)))]);
  for (const change of changes) {
    response.getDetaileddiffMap().set(change.path, new pb.PropertyDiff().setKind(kindOf(change)).setInputdiff(true));
  }
  return response;
}

function kindOf({ kind, replace }: Change): pb.PropertyDiff.Kind {
  const { Kind } = pb.PropertyDiff;
  if (kind === "add") return replace ? Kind.ADD_REPLACE : Kind.ADD;
  if (kind === "delete") return replace ? Kind.DELETE_REPLACE : Kind.DELETE;
  return replace ? Kind.UPDATE_REPLACE : Kind.UPDATE;
}

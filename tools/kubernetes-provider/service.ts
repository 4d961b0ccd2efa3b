/** The ResourceProvider service: gRPC messages to operations and back. */
import { type handleUnaryCall, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { PluginInfo } from "@pulumi/pulumi/proto/plugin_pb";
import type { IResourceProviderServer } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as pb from "@pulumi/pulumi/proto/provider_pb";
import { Any } from "google-protobuf/google/protobuf/any_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { fromStruct, plain, toStruct, type Values } from "../../provider/server/values";
import { changesOf } from "./diff";
import { isRelease, Releases } from "./helm";
import { isPatch, named, problemsOf } from "./objects";
import { NotReady, Operations } from "./operations";
import { refusedOptions } from "./settings";
import { decodeYaml } from "./yaml";

/** As the npm package whose resources it serves. */
const VERSION: string = require("@pulumi/kubernetes/package.json").version;

export function createStandIn(): IResourceProviderServer {
  let operations = new Operations({});
  const releases = new Releases(() => operations);
  /** Releases are no objects of the API server. */
  const of = (urn: string) => (isRelease(urn) ? releases : operations);

  return {
    handshake: unary(async () => new pb.ProviderHandshakeResponse().setAcceptSecrets(true)),
    attach: unary(async () => new Empty()),
    getPluginInfo: unary(async () => new PluginInfo().setVersion(VERSION)),
    getSchema: unary(async () => new pb.GetSchemaResponse().setSchema("{}")),
    checkConfig: unary(async (request: pb.CheckRequest) => {
      const failures = refusedOptions(fromStruct(request.getNews())).map(({ option, why }) =>
        new pb.CheckFailure().setProperty(option).setReason(why),
      );
      return new pb.CheckResponse().setInputs(request.getNews()).setFailuresList(failures);
    }),
    diffConfig: unary(async () => new pb.DiffResponse().setChanges(pb.DiffResponse.DiffChanges.DIFF_NONE)),
    configure: unary(async (request: pb.ConfigureRequest) => {
      operations = new Operations(fromStruct(request.getArgs()));
      return new pb.ConfigureResponse().setAcceptsecrets(true).setSupportspreview(true);
    }),
    cancel: unary(async () => {
      operations.cancel();
      return new Empty();
    }),
    check: unary(async (request: pb.CheckRequest) => {
      const urn = request.getUrn();
      const news = fromStruct(request.getNews());
      if (isRelease(urn)) return new pb.CheckResponse().setInputs(toStruct(news));
      const failures = problemsOf(urn, news).map((why) => new pb.CheckFailure().setProperty("metadata").setReason(why));
      const inputs = named(urn, news, fromStruct(request.getOlds()), request.getRandomseed_asU8());
      return new pb.CheckResponse().setInputs(toStruct(inputs)).setFailuresList(failures);
    }),
    diff: unary(async (request: pb.DiffRequest) => {
      const olds = fromStruct(request.hasOldInputs() ? request.getOldInputs() : request.getOlds());
      const { settings } = operations;
      const patch = isPatch(request.getUrn());
      const ignore = request.getIgnorechangesList();
      return diffResponse(changesOf({ olds, news: fromStruct(request.getNews()), ignore, patch, settings }), olds);
    }),
    create: unary(async (request: pb.CreateRequest) => {
      const inputs = fromStruct(request.getProperties());
      const urn = request.getUrn();
      const made = await of(urn).create(urn, inputs, { preview: request.getPreview(), timeout: request.getTimeout() });
      return new pb.CreateResponse().setId(made.id).setProperties(toStruct(made.outputs));
    }),
    update: unary(async (request: pb.UpdateRequest) => {
      // The real one then sends what the server has, field by field.
      if (request.getIgnorechangesList().length > 0) throw new Error("the stand-in for tests has no ignoreChanges");
      const olds = fromStruct(request.getOlds());
      const news = fromStruct(request.getNews());
      const how = { preview: request.getPreview(), timeout: request.getTimeout() };
      const outputs = await of(request.getUrn()).update(request.getUrn(), olds, news, how);
      return new pb.UpdateResponse().setProperties(toStruct(outputs));
    }),
    read: unary(async (request: pb.ReadRequest) => {
      const before = { inputs: fromStruct(request.getInputs()), outputs: fromStruct(request.getProperties()) };
      const found = await of(request.getUrn()).read(request.getUrn(), request.getId(), before);
      const response = new pb.ReadResponse();
      if (!found) return response;
      return response.setId(found.id).setInputs(toStruct(found.inputs)).setProperties(toStruct(found.outputs));
    }),
    delete: unary(async (request: pb.DeleteRequest) => {
      const outputs = fromStruct(request.getProperties());
      await of(request.getUrn()).remove(request.getUrn(), outputs, { preview: false, timeout: request.getTimeout() });
      return new Empty();
    }),
    invoke: unary(async (request: pb.InvokeRequest) => {
      if (request.getTok() !== "kubernetes:yaml:decode") throw new Error(`the stand-in has no ${request.getTok()}`);
      const { text } = plain(fromStruct(request.getArgs())) as { text?: string };
      return new pb.InvokeResponse().setReturn(toStruct({ result: decodeYaml(text ?? "") } as Values));
    }),
    construct: refused("helm.sh/v4:Chart and yaml/v2 run inside the real provider, which is not installed here"),
    parameterize: refused("no parameters"),
    call: refused("no methods"),
    list: (call) => call.destroy(unimplemented("no lists")),
    getMapping: refused("no mappings"),
    getMappings: refused("no mappings"),
  };
}

function unary<Request, Response>(work: (request: Request) => Promise<Response>): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    Promise.resolve()
      .then(() => work(call.request))
      .then(
        (response) => callback(null, response),
        (error: Error) => callback(asServiceError(error)),
      );
  };
}

/** An object that exists but is not ready must end up in the state, or nobody would remove it. */
function asServiceError(error: Error): Partial<ServiceError> {
  if (!(error instanceof NotReady)) return { code: status.UNKNOWN, details: error.message };
  const detail = new pb.ErrorResourceInitFailed()
    .setId(error.made.id)
    .setProperties(toStruct(error.made.outputs))
    .setInputs(toStruct(error.inputs))
    .setReasonsList([error.message]);
  const any = new Any();
  any.pack(detail.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
  const metadata = new Metadata();
  const { Status } = require("@pulumi/pulumi/proto/status_pb");
  const wrapped = new Status();
  wrapped.setCode(status.UNKNOWN);
  wrapped.setMessage(error.message);
  wrapped.addDetails(any);
  metadata.add("grpc-status-details-bin", Buffer.from(wrapped.serializeBinary()));
  return { code: status.UNKNOWN, details: error.message, metadata };
}

const unimplemented = (why: string) =>
  Object.assign(new Error(`Kubernetes stand-in: ${why}`), { code: status.UNIMPLEMENTED }) as unknown as ServiceError;

function refused(why: string): handleUnaryCall<unknown, never> {
  return (_call, callback) => callback(unimplemented(why));
}

function diffResponse(changes: ReturnType<typeof changesOf>, olds: Values): pb.DiffResponse {
  const { DIFF_NONE, DIFF_SOME } = pb.DiffResponse.DiffChanges;
  const { Kind } = pb.PropertyDiff;
  const response = new pb.DiffResponse().setChanges(changes.length === 0 ? DIFF_NONE : DIFF_SOME);
  const top = (path: string) => /^[^.[]+/.exec(path)?.[0] ?? path;
  const replaces = changes.filter((change) => change.replace);
  response.setHasdetaileddiff(true);
  response.setDiffsList([...new Set(changes.map((change) => top(change.path)))]);
  response.setReplacesList([...new Set(replaces.map((change) => top(change.path)))]);
  // Two objects of one name cannot be there at once; only a name of our own choice makes room.
  const annotations = (olds.metadata as Values | undefined)?.annotations as Values | undefined;
  const moved = replaces.some(({ path }) => path === "metadata.name" || path === "metadata.namespace");
  response.setDeletebeforereplace(replaces.length > 0 && !moved && annotations?.["pulumi.com/autonamed"] !== "true");
  for (const { path, kind, replace } of changes) {
    const kinds = { add: Kind.ADD, delete: Kind.DELETE, update: Kind.UPDATE };
    const replacing = { add: Kind.ADD_REPLACE, delete: Kind.DELETE_REPLACE, update: Kind.UPDATE_REPLACE };
    const diff = new pb.PropertyDiff().setKind((replace ? replacing : kinds)[kind]).setInputdiff(true);
    response.getDetaileddiffMap().set(path, diff);
  }
  return response;
}

/** The engine's protocol for a stand-in cloud: full previews, unknowns and secrets kept, replacements, refresh. */
import { createHash } from "node:crypto";
import { type handleUnaryCall, status } from "@grpc/grpc-js";
import { PluginInfo } from "@pulumi/pulumi/proto/plugin_pb";
import type { IResourceProviderServer } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as pb from "@pulumi/pulumi/proto/provider_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import {
  fromStruct,
  hasUnknown,
  type Json,
  plain,
  Secret,
  sameValue,
  secret,
  toStruct,
  UNKNOWN,
  type Value,
  type Values,
} from "../../../provider/server/values";
import { Declarations } from "./declarations";
import { strike } from "./faults";
import { type CloudModel, dependentsOf, type Plain, type TypeModel } from "./model";
import { inputProblems } from "./shapes";
import type { Call, Existing, Store } from "./store";

interface Subject {
  readonly type: string;
  readonly name: string;
}

/** `urn:pulumi:stack::project::parent$type::name` */
function subjectOf(urn: string): Subject {
  const [, , types = "", name = ""] = urn.split("::");
  return { type: types.split("$").pop() ?? "", name };
}

export function createCloudService(model: CloudModel, store: Store): IResourceProviderServer {
  const sdk = new Declarations(model.pkg);
  const busy = new Set<string>();

  const typeOf = (type: string): TypeModel => {
    const known = model.types[type];
    if (known) return known;
    throw new Error(`the stand-in for ${model.pkg} does not know ${type}; add it to its table`);
  };

  /** Records a call with how it ended. */
  async function recorded<T>(call: Call, work: () => Promise<T> | T): Promise<T> {
    try {
      await strike(store, call.method, call.type, call.name);
      const done = await work();
      store.record(call);
      return done;
    } catch (error) {
      store.record({ ...call, error: (error as Error).message });
      throw error;
    }
  }

  /** A write to what takes one at a time. */
  async function alone<T>(key: string | undefined, work: () => T): Promise<T> {
    if (key === undefined) return work();
    if (busy.has(key)) throw new Error(`409 Conflict: concurrent writes to ${key} are not supported`);
    busy.add(key);
    try {
      await new Promise((resolve) => setTimeout(resolve, 20));
      return work();
    } finally {
      busy.delete(key);
    }
  }

  function outputsOf(type: string, inputs: Values, id: string, filled: Plain): Values {
    const known: Values = { ...inputs, ...(filled as Values) };
    const named = new Set(sdk.resource(type)?.outputs ?? []);
    return Object.fromEntries(Object.entries({ ...known, id }).filter(([name]) => named.has(name) || name in inputs));
  }

  return {
    handshake: unary(() => new pb.ProviderHandshakeResponse().setAcceptSecrets(true)),
    attach: unary(() => new Empty()),
    getPluginInfo: unary(() => new PluginInfo().setVersion(sdk.version)),
    getSchema: unary(() => new pb.GetSchemaResponse().setSchema("{}")),
    checkConfig: unary((request: pb.CheckRequest) => new pb.CheckResponse().setInputs(request.getNews())),
    diffConfig: unary(() => new pb.DiffResponse().setChanges(pb.DiffResponse.DiffChanges.DIFF_NONE)),
    configure: unary(() => new pb.ConfigureResponse().setAcceptsecrets(true).setSupportspreview(true)),
    cancel: unary(() => new Empty()),

    check: unary((request: pb.CheckRequest) => {
      const { type, name } = subjectOf(request.getUrn());
      const news = fromStruct(request.getNews());
      const olds = fromStruct(request.getOlds());
      const { name: field, autoName } = typeOf(type);
      if (field !== undefined && news[field] === undefined) {
        const random = hex(`${request.getUrn()}|${Buffer.from(request.getRandomseed_asU8()).toString("hex")}`, 7);
        news[field] = olds[field] ?? autoName?.(name, random) ?? `${name}-${random}`;
      }
      const declaration = sdk.resource(type);
      const problems = declaration ? inputProblems(declaration.inputs, news) : [`the SDK has no resource ${type}`];
      return new pb.CheckResponse()
        .setInputs(toStruct(news))
        .setFailuresList(problems.map((reason) => new pb.CheckFailure().setReason(reason)));
    }),

    diff: unary((request: pb.DiffRequest) => {
      const olds = fromStruct(request.getOldInputs());
      const news = fromStruct(request.getNews());
      const names = [...new Set([...Object.keys(olds), ...Object.keys(news)])];
      const ignored = request.getIgnorechangesList();
      const changed = names.filter((n) => !ignored.includes(n) && !sameValue(olds[n], news[n]));
      const { name, replaces = [] } = typeOf(subjectOf(request.getUrn()).type);
      const forced = [...replaces, ...(name === undefined ? [] : [name])];
      const { DIFF_NONE, DIFF_SOME } = pb.DiffResponse.DiffChanges;
      return new pb.DiffResponse()
        .setChanges(changed.length > 0 ? DIFF_SOME : DIFF_NONE)
        .setDiffsList(changed)
        .setReplacesList(changed.filter((n) => forced.includes(n)));
    }),

    create: unary(async (request: pb.CreateRequest) => {
      const subject = subjectOf(request.getUrn());
      const { type, name } = subject;
      const inputs = fromStruct(request.getProperties());
      const kind = typeOf(type);
      if (request.getPreview()) return new pb.CreateResponse().setProperties(toStruct(preview(sdk, type, inputs)));
      const given = plainOf(inputs);
      const id = kind.id(given, hex(request.getUrn(), 17));
      const outputs = await recorded({ method: "create", type, name, id, inputs: given }, () =>
        alone(kind.alone?.(given), () => {
          if (store.get(id)) throw new Error(`409 Conflict: ${id} exists already`);
          for (const needed of kind.needs?.(given, store) ?? []) {
            if (!store.get(needed)) throw new Error(`404 NotFound: ${needed} does not exist`);
          }
          const refused = kind.refuse?.(given, store);
          if (refused !== undefined) throw new Error(refused);
          const filled = kind.outputs?.(given, id, store) ?? {};
          store.put({ id, type, name, inputs: given, outputs: filled });
          return outputsOf(type, inputs, id, filled);
        }),
      );
      return new pb.CreateResponse().setId(id).setProperties(toStruct(outputs));
    }),

    update: unary(async (request: pb.UpdateRequest) => {
      const { type, name } = subjectOf(request.getUrn());
      const inputs = fromStruct(request.getNews());
      const id = request.getId();
      const kind = typeOf(type);
      if (request.getPreview()) {
        const olds = fromStruct(request.getOlds());
        return new pb.UpdateResponse().setProperties(toStruct({ ...olds, ...inputs }));
      }
      const given = plainOf(inputs);
      const outputs = await recorded({ method: "update", type, name, id, inputs: given }, () =>
        alone(kind.alone?.(given), () => {
          const existing = store.get(id);
          if (!existing) throw new Error(`404 NotFound: ${id} does not exist`);
          store.put({ ...existing, inputs: given });
          return outputsOf(type, inputs, id, existing.outputs);
        }),
      );
      return new pb.UpdateResponse().setProperties(toStruct(outputs));
    }),

    read: unary(async (request: pb.ReadRequest) => {
      const { type, name } = subjectOf(request.getUrn());
      const id = request.getId();
      const existing = await recorded({ method: "read", type, name, id }, () => store.get(id));
      if (!existing) return new pb.ReadResponse();
      const olds = fromStruct(request.getInputs());
      const inputs = Object.fromEntries(
        Object.entries(existing.inputs).map(([n, v]) => [
          n,
          olds[n] instanceof Secret ? secret(v as Value) : (v as Value),
        ]),
      );
      return new pb.ReadResponse()
        .setId(id)
        .setInputs(toStruct(inputs))
        .setProperties(toStruct(outputsOf(type, inputs, id, existing.outputs)));
    }),

    delete: unary(async (request: pb.DeleteRequest) => {
      const { type, name } = subjectOf(request.getUrn());
      const id = request.getId();
      await recorded({ method: "delete", type, name, id }, () => {
        const existing = store.get(id);
        if (!existing) return;
        const sweeps = typeOf(type).sweeps === true;
        const inside = (other: Existing) => sweeps && other.name === "" && other.id.startsWith(`${id}/`);
        const left = dependentsOf(existing, store, model);
        const holder = left.find((other) => !inside(other));
        if (holder) throw new Error(model.inUse(existing, holder));
        for (const other of left) store.remove(other.id);
        store.remove(id);
      });
      return new Empty();
    }),

    invoke: unary(async (request: pb.InvokeRequest) => {
      const token = request.getTok();
      const args = plainOf(fromStruct(request.getArgs()));
      const answer = model.invokes[token];
      if (!answer) throw new Error(`the stand-in for ${model.pkg} does not know ${token}; add it to its table`);
      const result = await recorded({ method: "invoke", type: token, name: "", inputs: args }, () =>
        answer(args, store),
      );
      return new pb.InvokeResponse().setReturn(toStruct(result as Values));
    }),

    parameterize: unimplemented(),
    call: unimplemented(),
    construct: unimplemented(),
    list: (call) => call.destroy(Object.assign(new Error("List"), { code: status.UNIMPLEMENTED })),
    getMapping: unimplemented(),
    getMappings: unimplemented(),
  };
}

/** Inputs as they will be, everything else that the SDK lists as an output not known yet. */
function preview(sdk: Declarations, type: string, inputs: Values): Values {
  const computed = (sdk.resource(type)?.outputs ?? []).filter((name) => inputs[name] === undefined);
  return { ...inputs, ...Object.fromEntries(computed.map((name) => [name, UNKNOWN])) };
}

function plainOf(values: Values): Record<string, Json> {
  const unknown = Object.keys(values).find((name) => hasUnknown(values[name]));
  if (unknown !== undefined) throw new Error(`${unknown}: unknown after the preview`);
  return plain(values) as Record<string, Json>;
}

export const hex = (seed: string, digits: number): string =>
  createHash("sha256").update(seed).digest("hex").slice(0, digits);

function unary<Request, Response>(
  work: (request: Request) => Promise<Response> | Response,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    Promise.resolve()
      .then(() => work(call.request))
      .then(
        (response) => callback(null, response),
        (error: unknown) => callback({ code: status.UNKNOWN, details: (error as Error).message }),
      );
  };
}

function unimplemented(): handleUnaryCall<unknown, never> {
  return (_call, callback) => callback(Object.assign(new Error("not offered"), { code: status.UNIMPLEMENTED }));
}

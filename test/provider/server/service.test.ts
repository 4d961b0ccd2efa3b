import { credentials, type ServiceError } from "@grpc/grpc-js";
import { ResourceProviderClient } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as pb from "@pulumi/pulumi/proto/provider_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import type { Definition } from "../../../provider/server/definition";
import { ProviderError } from "../../../provider/server/errors";
import { type RunningProvider, serve } from "../../../provider/server/serve";
import { fromStruct, secret, toStruct, UNKNOWN, type Values } from "../../../provider/server/values";

interface Inputs {
  name: string;
  size?: number;
  token?: string;
  parts?: Record<string, { id: string }>;
  path?: string;
  digest?: string;
}
interface Outputs {
  address: string;
  key: string;
  count: number;
}

const calls: unknown[][] = [];

/** A small resource with every kind of field. */
const thing: Definition<Inputs, Outputs> = {
  name: "Thing",
  about: "A thing.",
  inputs: {
    name: { type: "string", change: "replace", about: "Name." },
    size: { type: "number", optional: true, about: "Size in bytes." },
    token: { type: "string", optional: true, secret: true, about: "Token." },
    parts: { type: "object", optional: true, about: "Parts." },
    path: { type: "string", optional: true, change: "none", about: "Where the content is." },
    digest: { type: "string", optional: true, computed: true, about: "Digest of the content." },
  },
  outputs: {
    address: { type: "string", stable: true, about: "Address." },
    key: { type: "string", secret: true, about: "Key." },
    count: { type: "number", about: "Count." },
  },
  async check(_context, news, olds) {
    calls.push(["check", news, olds]);
    if (news.name === "bad") return { failures: [{ property: "name", reason: "bad is not a name" }] };
    return { computed: { digest: news.path ?? "none" } };
  },
  async create(context, inputs) {
    calls.push(["create", inputs]);
    if (inputs.name === "boom") throw new ProviderError("SOURCE", "no folder. Create it");
    if (inputs.name === "steers") throw new ProviderError("SOURCE", "a server said \x1b[2J\u009b2J");
    if (inputs.name === "wait") await new Promise((_, reject) => waitFor(context.signal, reject));
    return { id: `id-${inputs.name}`, outputs: { address: "a", key: "k", count: 1 } };
  },
  async update(_context, old, inputs) {
    calls.push(["update", old, inputs]);
    return { ...old.outputs, count: old.outputs.count + 1 };
  },
  async read(_context, old) {
    return old.id === "gone" ? undefined : old.outputs;
  },
  async delete(_context, old) {
    calls.push(["delete", old]);
  },
};
const waitFor = (signal: AbortSignal, reject: (reason: unknown) => void) =>
  signal.addEventListener("abort", () => reject(signal.reason));

const URN = "urn:pulumi:dev::project::sealflow:index:Outer$sealflow:index:Thing::mine";
let provider: RunningProvider;
let client: ResourceProviderClient;

beforeAll(async () => {
  const project = () => ({ root: "/nowhere", home: "/nowhere/.sealflow", env: {}, now: () => new Date(0) });
  provider = await serve({ version: "1.2.3", definitions: [thing], project });
  client = new ResourceProviderClient(`127.0.0.1:${provider.port}`, credentials.createInsecure());
});
afterAll(async () => {
  client.close();
  await provider.close();
});
beforeEach(() => {
  calls.length = 0;
});

/** One call by its name; `A` is the class of the answer. */
function ask<A>(method: "check" | "diff" | "create" | "update" | "read" | "cancel" | "getSchema", request: unknown) {
  const call = client[method] as unknown as (
    this: ResourceProviderClient,
    request: unknown,
    done: (error: ServiceError | null, answer: A) => void,
  ) => void;
  return new Promise<A>((resolve, reject) => {
    call.call(client, request, (error, answer) => (error ? reject(new Error(error.details)) : resolve(answer)));
  });
}

const check = (news: Values, olds: Values = {}, urn = URN) =>
  ask<pb.CheckResponse>("check", new pb.CheckRequest().setUrn(urn).setNews(toStruct(news)).setOlds(toStruct(olds)));
const diff = (olds: Values, news: Values, ignore: string[] = []) =>
  ask<pb.DiffResponse>(
    "diff",
    new pb.DiffRequest()
      .setUrn(URN)
      .setOldInputs(toStruct(olds))
      .setOlds(toStruct({ address: "a" }))
      .setNews(toStruct(news))
      .setIgnorechangesList(ignore),
  );
const create = (inputs: Values, preview = false, timeout = 0) =>
  ask<pb.CreateResponse>(
    "create",
    new pb.CreateRequest().setUrn(URN).setProperties(toStruct(inputs)).setPreview(preview).setTimeout(timeout),
  );
const details = (answer: pb.DiffResponse) =>
  Object.fromEntries(
    answer
      .getDetaileddiffMap()
      .toArray()
      .map(([path, change]) => [path, (change as unknown as [number])[0] ?? 0]),
  );

describe("check", () => {
  it("lists every problem of the fields at once and does not ask the resource", async () => {
    const answer = await check({ size: "big", colour: 1 });
    const failures = answer.getFailuresList().map((f) => `${f.getProperty()}: ${f.getReason()}`);
    expect(failures).toEqual([
      "colour: unknown input; Thing has name, size, token, parts, path",
      "name: missing: Name.",
      "size: expected a number, found string. Size in bytes.",
    ]);
    expect(calls).toEqual([]);
  });

  it("does not name a secret to the engine, which would show its value", async () => {
    const [failure] = (await check({ name: "n", token: 5 })).getFailuresList();
    expect(failure?.getProperty()).toBe("");
    expect(failure?.getReason()).toBe("token: expected a string, found number. Token.");
  });

  it("passes on what the resource itself finds wrong", async () => {
    const [failure] = (await check({ name: "bad" })).getFailuresList();
    expect([failure?.getProperty(), failure?.getReason()]).toEqual(["name", "bad is not a name"]);
  });

  it("gives the resource known values only, and makes forgotten secrets secret", async () => {
    const answer = await check({ name: "n", size: UNKNOWN, token: "t" }, { name: "n", size: 3 });
    expect(calls).toEqual([["check", { name: "n", token: "t" }, { name: "n", size: 3 }]]);
    expect(fromStruct(answer.getInputs())).toEqual({ name: "n", size: UNKNOWN, token: secret("t"), digest: "none" });
  });

  it("remembers what was deployed when the engine checks again for a replacement", async () => {
    const urn = URN.replace("mine", "again");
    await check({ name: "n" }, { name: "old", digest: "d" }, urn);
    await check({ name: "n" }, {}, urn);
    expect(calls[1]).toEqual(["check", { name: "n" }, { name: "old", digest: "d" }]);
  });

  it("does not let a program set what the provider computes", async () => {
    const answer = await check({ name: "n", path: "p", digest: "forged" });
    expect(fromStruct(answer.getInputs()).digest).toBe("p");
  });

  it("names the resources it has when asked for another", async () => {
    const urn = "urn:pulumi:dev::project::sealflow:index:Other::x";
    await expect(check({}, {}, urn)).rejects.toThrow(/no resource "sealflow:index:Other" \(has sealflow:index:Thing\)/);
  });
});

describe("diff", () => {
  it("names the changed entry of a map and nothing else", async () => {
    const parts = { train: { id: "1" }, test: { id: "2" } };
    const answer = await diff({ name: "n", parts }, { name: "n", parts: { ...parts, train: { id: "9" } } });
    expect(details(answer)).toEqual({ "parts.train.id": pb.PropertyDiff.Kind.UPDATE });
    expect(answer.getDiffsList()).toEqual(["parts"]);
    expect(answer.getReplacesList()).toEqual([]);
  });

  it("replaces when a name changes", async () => {
    const answer = await diff({ name: "n" }, { name: "m" });
    expect(details(answer)).toEqual({ name: pb.PropertyDiff.Kind.UPDATE_REPLACE });
    expect(answer.getReplacesList()).toEqual(["name"]);
  });

  it("ignores paths, secret marks and ignoreChanges", async () => {
    const olds = { name: "n", path: "/old", token: secret("t"), size: 1 };
    const answer = await diff(olds, { name: "n", path: "/new", token: "t", size: 2 }, ["size"]);
    expect(answer.getChanges()).toBe(pb.DiffResponse.DiffChanges.DIFF_NONE);
  });

  it("what Check computes cannot be ignored: it stands for inputs that are not compared themselves", async () => {
    const olds = { name: "n", path: "/old", digest: "/old" };
    const answer = await diff(olds, { name: "n", path: "/new", digest: "/new" }, ["digest"]);
    expect(details(answer)).toEqual({ digest: pb.PropertyDiff.Kind.UPDATE });
  });

  it("takes an unknown as a change", async () => {
    const answer = await diff({ name: "n", size: 1 }, { name: "n", size: UNKNOWN });
    expect(details(answer)).toEqual({ size: pb.PropertyDiff.Kind.UPDATE });
  });
});

describe("create, update, read, delete", () => {
  it("a preview touches nothing and shows every output as unknown", async () => {
    const answer = await create({ name: UNKNOWN }, true);
    expect(calls).toEqual([]);
    expect(fromStruct(answer.getProperties())).toEqual({ address: UNKNOWN, key: secret(UNKNOWN), count: UNKNOWN });
  });

  it("create hands over plain values and marks secret outputs", async () => {
    const answer = await create({ name: "n", token: secret("t") });
    expect(calls).toEqual([["create", { name: "n", token: "t" }]]);
    expect(answer.getId()).toBe("id-n");
    expect(fromStruct(answer.getProperties())).toEqual({ address: "a", key: secret("k"), count: 1 });
  });

  it("a preview of an update keeps what an update cannot change", async () => {
    const request = new pb.UpdateRequest().setUrn(URN).setPreview(true);
    request.setOlds(toStruct({ address: "a", key: secret("k"), count: 1 })).setNews(toStruct({ name: "n" }));
    const answer = await ask<pb.UpdateResponse>("update", request);
    expect(fromStruct(answer.getProperties())).toEqual({ address: "a", key: secret(UNKNOWN), count: UNKNOWN });
    expect(calls).toEqual([]);
  });

  it("read of something gone answers with an empty id, of something there with its inputs", async () => {
    const request = () => new pb.ReadRequest().setUrn(URN).setProperties(toStruct({ address: "a" }));
    expect((await ask<pb.ReadResponse>("read", request().setId("gone"))).getId()).toBe("");
    const there = await ask<pb.ReadResponse>(
      "read",
      request()
        .setId("x")
        .setInputs(toStruct({ name: "n" })),
    );
    expect(there.getId()).toBe("x");
    expect(fromStruct(there.getInputs())).toEqual({ name: "n" });
  });

  it("an import is refused with what to do instead", async () => {
    await expect(ask<pb.ReadResponse>("read", new pb.ReadRequest().setUrn(URN).setId("x"))).rejects.toThrow(
      /Thing cannot be imported.*pulumi up/,
    );
  });

  it("an error shows its message and code", async () => {
    await expect(create({ name: "boom" })).rejects.toThrow("no folder. Create it [SOURCE]");
  });

  it("an error that quotes a server does not steer the terminal", async () => {
    await expect(create({ name: "steers" })).rejects.toThrow("a server said \ufffd[2J\ufffd2J [SOURCE]");
  });

  it("cancel ends what runs, with what to do next", async () => {
    const running = create({ name: "wait" });
    running.catch(() => {});
    while (calls.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await ask<Empty>("cancel", new Empty());
    await expect(running).rejects.toThrow(/cancelled\. Run `pulumi up` again.*\[CANCELLED\]/);
  });

  it("a timeout ends it too", async () => {
    await expect(create({ name: "wait" }, false, 0.05)).rejects.toThrow(/not done after 0.05 s.*customTimeouts/);
  });
});

describe("schema", () => {
  it("lists inputs without computed ones, marks secrets and required fields", async () => {
    const schema = JSON.parse((await ask<pb.GetSchemaResponse>("getSchema", new pb.GetSchemaRequest())).getSchema());
    const found = schema.resources["sealflow:index:Thing"];
    expect(Object.keys(found.inputProperties)).toEqual(["name", "size", "token", "parts", "path"]);
    expect(found.requiredInputs).toEqual(["name"]);
    expect(found.inputProperties.token.secret).toBe(true);
    expect(found.inputProperties.name.replaceOnChanges).toBe(true);
    expect(found.properties.key.secret).toBe(true);
  });
});

import { readdirSync, rmSync } from "node:fs";
import * as path from "node:path";
import type { GuestSettings } from "../../model";
import { guestBuild, renderJob, stepGuest } from "../../policy";
import { jcsDigest } from "../../protocol/canonical";
import type { Program } from "../../protocol/messages";
import { isName } from "../../protocol/names";
import type { Tee } from "../../protocol/rcar";
import { readText, stackFolder, writePrivate } from "../files";
import { needConnection, relyingPartyDigest, relyingPartyDigestField } from "../relying-party";
import type { Context } from "../server/context";
import type { Definition, Failure } from "../server/definition";
import { ProviderError } from "../server/errors";
import { show } from "../source";

interface Step {
  resource: string;
  identity: string;
  reference: string;
  limits: Program["limits"];
  resources: { cpu: string; memory: string };
  backoff: { seconds: number; factor: number; maxSeconds: number };
  after: string[];
}

interface Inputs {
  pipeline: string;
  stack: string;
  tee: Tee;
  runtimeClass: string;
  steps: Record<string, Step>;
  guest?: GuestSettings;
  relyingPartyDigest?: string;
}

interface Outputs {
  directory: string;
  digest: string;
}

/** Public files: names, limits and digests. Initdata is made again from what is public anyway. */
export const localWorkload: Definition<Inputs, Outputs> = {
  name: "LocalWorkload",
  about: "Job manifests of a pipeline for the simulated node, in `.sealflow/backend/<stack>/<pipeline>/`.",
  inputs: {
    pipeline: { type: "string", change: "replace", about: "Name of the pipeline." },
    stack: { type: "string", change: "replace", about: "Name of the stack." },
    tee: { type: "string", about: "Kind of guest; `sample` is the simulated one." },
    runtimeClass: { type: "string", about: "Runtime class of the Jobs." },
    steps: { type: "object", about: "Step to {resource, identity, reference, limits, resources, backoff, after}." },
    guest: { type: "object", optional: true, about: "As the steps' StepIdentity has it. Default: none." },
    relyingPartyDigest: relyingPartyDigestField,
  },
  outputs: {
    directory: { type: "string", stable: true, about: "Folder of the files, relative to the project." },
    digest: { type: "string", about: "Digest of the files; empty when a refresh found others." },
  },

  async check(context, { pipeline, stack }, olds, pending) {
    const failures = Object.entries({ pipeline, stack }).flatMap(([property, value]): Failure[] =>
      value === undefined || isName(value)
        ? []
        : [{ property, reason: `"${value}" is not a name: [a-z0-9-], 1 to 40 characters` }],
    );
    // Always of this machine: the simulated node runs here.
    const digest = relyingPartyDigest({ context, news: {}, pending }, olds?.relyingPartyDigest);
    return { computed: { relyingPartyDigest: digest }, failures };
  },

  async create(context, inputs) {
    const outputs = write(context, inputs);
    return { id: outputs.directory, outputs };
  },

  update: async (context, _old, inputs) => write(context, inputs),

  async read(context, { inputs, outputs }) {
    const found = filesIn(directoryOf(context, inputs));
    if (Object.keys(found).length === 0) return undefined;
    return { ...outputs, digest: jcsDigest(found) === outputs.digest ? outputs.digest : "" };
  },

  drift: ({ outputs }) => (outputs.digest === "" ? ["digest"] : []),

  async delete(context, { inputs }) {
    rmSync(directoryOf(context, inputs), { recursive: true, force: true });
  },
};

const directoryOf = ({ home }: Context, { stack, pipeline }: Inputs): string =>
  path.join(stackFolder(home, "backend", { stack, pipeline }), pipeline);

function write(context: Context, inputs: Inputs): Outputs {
  const directory = directoryOf(context, inputs);
  const files = render(context, inputs);
  for (const [name, text] of Object.entries(files)) writePrivate(path.join(directory, name), text);
  for (const name of Object.keys(filesIn(directory))) if (!(name in files)) rmSync(path.join(directory, name));
  return { directory: show(context, directory), digest: jcsDigest(files) };
}

/** File name to text. */
function render(context: Context, inputs: Inputs): Record<string, string> {
  const { kbsUrl, caPem } = needConnection(context, undefined);
  const { pipeline, stack, tee, runtimeClass } = inputs;
  const files: Record<string, string> = {};
  const steps: Record<string, object> = {};
  for (const [name, step] of Object.entries(inputs.steps)) {
    const { resource, reference: imageReference, limits, resources, backoff, after } = step;
    const guest = stepGuest({ tee, kbsUrl, caPem, imageReference, resource, ...guestBuild(inputs.guest) });
    if (guest.identity !== step.identity) {
      const remedy = "Run `pulumi up` again; if it stays, run `pulumi refresh` first";
      throw new ProviderError(
        "INPUT",
        `steps.${name}: its guest would have another identity than was granted. ${remedy}`,
      );
    }
    const { timeoutSeconds, waitSeconds, shards } = limits;
    const guestOf = { imageReference, resource, annotation: guest.annotation, runtimeClass };
    const job = renderJob({ pipeline, step: name, ...guestOf, shards, timeoutSeconds, waitSeconds, ...resources });
    files[`${name}.job.json`] = json(job);
    steps[name] = { job: `${name}.job.json`, after, shards, retryLimit: limits.retryLimit, backoff };
  }
  files["workload.json"] = json({ v: 1, pipeline, stack, steps });
  return files;
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

function filesIn(directory: string): Record<string, string> {
  try {
    const names = readdirSync(directory).filter((name) => name.endsWith(".json"));
    return Object.fromEntries(names.map((name) => [name, readText(path.join(directory, name)) ?? ""]));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw error;
  }
}

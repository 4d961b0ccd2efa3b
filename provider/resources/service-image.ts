import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import * as path from "node:path";
import { ensureRunnerLayer } from "../../owner/runner-layer";
import { makeServiceImage } from "../../owner/service-image";
import { sha256hex } from "../../protocol/crypto";
import { parseRepository } from "../../protocol/image-reference";
import { pushImage, RegistryClient } from "../../untrusted/registry";
import { cacheRoot } from "../cache";
import { sealing } from "../sealing";
import type { Context } from "../server/context";
import type { Definition, Failure } from "../server/definition";
import { ProviderError } from "../server/errors";
import { absolute, show } from "../source";

interface Inputs {
  service: string;
  repository?: string;
  unpinnedRunner?: string;
  bundleDigest?: string;
}

interface Outputs {
  digest: string;
  reference: string;
  layout: string;
  size: number;
}

/** Service to its bundle in dist/ and its name in the image. */
const BUNDLES: Readonly<Record<string, { readonly file: string; readonly entry: string }>> = {
  ledger: { file: "relying-party/ledger-service.js", entry: "ledger.js" },
};
/** Of the runner layer's pinned packages. */
const ARCHITECTURE = "amd64";

/** An update writes and pushes beside the old image, which running replicas still pull. */
export const serviceImage: Definition<Inputs, Outputs> = {
  name: "ServiceImage",
  about: "A container image of one of Sealflow's services, made on this machine without Docker and pushed by digest.",
  inputs: {
    service: { type: "string", change: "replace", about: "`ledger`." },
    repository: { type: "string", optional: true, about: "Where it is pushed: `host/path`. Default: nowhere." },
    unpinnedRunner: {
      type: "string",
      optional: true,
      change: "none",
      about: "Reason for other package versions where the pinned ones are served no more.",
    },
    bundleDigest: { type: "string", optional: true, computed: true, about: "Digest of the bundled service." },
  },
  outputs: {
    digest: { type: "string", about: "SHA-256 of the manifest." },
    reference: { type: "string", about: "As a cluster pulls it, with the digest." },
    layout: { type: "string", stable: true, about: "The OCI layout, relative to the project." },
    size: { type: "number", about: "Bytes of all layers." },
  },

  async check(_context, { service, repository }) {
    const failures: Failure[] = [];
    const known = Object.keys(BUNDLES);
    if (service !== undefined && !known.includes(service)) {
      failures.push({ property: "service", reason: `there is no service "${service}" (has ${known.join(", ")})` });
    }
    try {
      if (repository !== undefined) parseRepository(repository);
    } catch (error) {
      failures.push({ property: "repository", reason: (error as Error).message });
    }
    if (failures.length > 0 || service === undefined) return { failures };
    return { computed: { bundleDigest: sha256hex(await readBundle(service)) } };
  },

  async create(context, inputs) {
    const outputs = await make(context, inputs);
    return { id: outputs.reference, outputs };
  },

  update: (context, _old, inputs) => make(context, inputs),

  async read(context, { outputs }) {
    const manifest = path.join(absolute(context, outputs.layout), "blobs", "sha256", outputs.digest);
    return existsSync(manifest) ? outputs : undefined;
  },

  /** Whoever runs it keeps it: the registry's own retention removes images. */
  async delete() {},
};

async function make(context: Context, { service, repository, unpinnedRunner }: Inputs): Promise<Outputs> {
  const { file, entry } = bundleOf(service);
  const layoutDir = path.join(context.home, "services", service);
  const onProgress = (message: string) => context.log.status(message);
  const { digest, size } = await sealing.run(
    context.signal,
    async () => {
      const runnerLayer = await ensureRunnerLayer({
        cacheDir: cacheRoot(context),
        onProgress,
        ...(unpinnedRunner === undefined ? {} : { unpinned: unpinnedRunner }),
      });
      return makeServiceImage({ entry, bundle: file, runnerLayer, architecture: ARCHITECTURE, layoutDir });
    },
    () => context.log.status("waits for other images"),
  );
  const layout = show(context, layoutDir);
  if (repository === undefined) return { digest, size, layout, reference: `${service}@sha256:${digest}` };
  const client = new RegistryClient({ signal: context.signal });
  try {
    const { reference } = await pushImage(client, parseRepository(repository), {
      layoutDir,
      digest,
      onProgress: (sent, total) => context.log.status(`pushed ${Math.round((100 * sent) / total)} %`),
    });
    return { digest, size, layout, reference };
  } finally {
    client.close();
  }
}

/** Beside the compiled code, or in dist/ of a checkout whose sources run as they are. */
function bundleOf(service: string): { file: string; entry: string } {
  const bundle = BUNDLES[service];
  if (!bundle) throw new ProviderError("INPUT", `there is no service "${service}"`);
  const compiled = path.join(__dirname, "../..", bundle.file);
  const file = existsSync(compiled) ? compiled : path.join(__dirname, "../../dist", bundle.file);
  return { file, entry: bundle.entry };
}

async function readBundle(service: string): Promise<Uint8Array> {
  const { file } = bundleOf(service);
  return readFile(file).catch(() => {
    throw new ProviderError("SOURCE", `${file} does not exist. In a checkout run \`node tools/build.js\``);
  });
}

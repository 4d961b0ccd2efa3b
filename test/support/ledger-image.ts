/** The ledger's own image, made as ServiceImage makes it, and unpacked as a container runtime would. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import * as path from "node:path";
import { ensureRunnerLayer } from "../../owner/runner-layer";
import { makeServiceImage } from "../../owner/service-image";
import { blobPath } from "../../protocol/oci";

const CHECKOUT = path.resolve(__dirname, "../..");

export interface LedgerImage {
  /** Of its manifest, with `sha256:` where the image's own reference has it. */
  readonly digest: string;
  /** Of the image's configuration. */
  readonly user: string;
  readonly entrypoint: readonly string[];
  readonly layoutDir: string;
  /** @param root new folder for all layers, one over the other; nobody can write into it then. */
  unpack(root: string): void;
}

/** Needs the bundle in dist/. @param layoutDir folder for the OCI layout. */
export async function makeLedgerImage(layoutDir: string): Promise<LedgerImage> {
  const runnerLayer = await ensureRunnerLayer({ cacheDir: path.join(CHECKOUT, "node_modules/.cache/test") });
  const bundle = path.join(CHECKOUT, "dist/relying-party/ledger-service.js");
  const { digest } = await makeServiceImage({
    entry: "ledger.js",
    bundle,
    runnerLayer,
    architecture: "amd64",
    layoutDir,
  });
  const document = (hex: string) => JSON.parse(readFileSync(path.join(layoutDir, blobPath(hex)), "utf8"));
  const { layers, config } = document(digest);
  const { User, Entrypoint } = document(config.digest.slice("sha256:".length)).config;
  return {
    digest,
    user: User,
    entrypoint: Entrypoint,
    layoutDir,
    unpack(root) {
      mkdirSync(root);
      for (const layer of layers) {
        execFileSync("tar", ["-xf", path.join(layoutDir, blobPath(layer.digest.slice(7))), "-C", root]);
      }
      execFileSync("chmod", ["-R", "a-w", root]);
    },
  };
}

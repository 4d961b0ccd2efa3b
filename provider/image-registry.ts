/** The registry that a sealed image is pushed to: ciphertext and public layers only. */
import { readFileSync } from "node:fs";
import { parseRepository } from "../protocol/image-reference";
import { type PushOptions, pushImage, RegistryClient } from "../untrusted/registry";
import { mib } from "./image-source";
import type { Context } from "./server/context";
import { absolute } from "./source";

export interface RegistryInput {
  /** `host:5000/team/spam`. */
  readonly repository: string;
  /** PEM file of the registry's own CA. */
  readonly caFile?: string;
  /** Reason for speaking to this host without TLS. */
  readonly plainHttp?: string;
  /** Repositories of the same registry whose layers may be mounted. */
  readonly mountFrom?: readonly string[];
  /** Deletes the manifest with the resource. */
  readonly deleteManifest?: boolean;
}

/** For Check. @returns what is wrong with it. */
export function registryProblem(registry: RegistryInput): string | undefined {
  try {
    parseRepository(String(registry.repository));
  } catch (error) {
    return (error as Error).message;
  }
  const known = new Set(["repository", "caFile", "plainHttp", "mountFrom", "deleteManifest"]);
  const unknown = Object.keys(registry).filter((key) => !known.has(key));
  if (unknown.length > 0) return `no such field: ${unknown.join(", ")} (has ${[...known].join(", ")})`;
  if (registry.plainHttp === undefined || (typeof registry.plainHttp === "string" && registry.plainHttp.trim() !== ""))
    return undefined;
  return "plainHttp: write the reason why this registry is spoken to without TLS";
}

/** `host/repository@sha256:…`: part of every identity that runs the image. */
export const referenceIn = ({ repository }: RegistryInput, digest: string): string => `${repository}@sha256:${digest}`;

/** @throws RegistryError. */
export function push(context: Context, registry: RegistryInput, image: Pick<PushOptions, "layoutDir" | "digest">) {
  const at = parseRepository(registry.repository);
  return withClient(context, registry, (client) =>
    pushImage(client, at, {
      ...image,
      ...(registry.mountFrom ? { mountFrom: registry.mountFrom } : {}),
      onProgress: (sent, total) =>
        context.log.status(`pushing to ${registry.repository}: ${mib(sent)} of ${mib(total)} MiB`),
    }),
  );
}

/** @throws RegistryError. */
export const isPushed = (context: Context, registry: RegistryInput, digest: string): Promise<boolean> =>
  withClient(context, registry, (client) => client.hasManifest(parseRepository(registry.repository), digest));

/** Blobs stay until the registry collects them. @throws RegistryError. */
export const unpush = (context: Context, registry: RegistryInput, digest: string): Promise<void> =>
  withClient(context, registry, (client) => client.deleteManifest(parseRepository(registry.repository), digest));

/** A client of the registry, as long as the work lasts. */
export async function withClient<T>(
  context: Context,
  registry: RegistryInput,
  work: (client: RegistryClient) => Promise<T>,
) {
  const { caFile, plainHttp, repository } = registry;
  const client = new RegistryClient({
    signal: context.signal,
    ...(caFile === undefined ? {} : { caPem: readFileSync(absolute(context, caFile), "utf8") }),
    ...(plainHttp === undefined ? {} : { plainHttp: [parseRepository(repository).host] }),
  });
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

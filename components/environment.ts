import * as pulumi from "@pulumi/pulumi";
import type { ImageRegistry } from "../resources/sealed-image";
import type { Backend } from "./backend/backend";
import { localBackend } from "./backend/local-backend";
import { LocalPlatform, type LocalPlatformArgs } from "./platform/local-platform";
import type { Platform } from "./platform/platform";
import { RelyingParty, type RelyingPartyOutputs } from "./relying-party/relying-party";
import { EncryptedStorage, type EncryptedStorageArgs, type StorageOutputs } from "./storage/encrypted-storage";

/** Where a pipeline lives: the one switch between `local` and production. */
export interface Environment {
  platform: Platform;
  relyingParty: RelyingPartyOutputs;
  storage: StorageOutputs;
  /** How Jobs get started. */
  backend: Backend;
  /**
   * Registry that sealed images are pushed to and nodes pull from; its name is part of every step's identity.
   * @default none: images stay on this machine, where only its simulated node finds them
   */
  registry?: ImageRegistry;
}

export interface EnvironmentArgs extends Omit<Environment, "backend"> {
  /** `"local"`: by the simulated node on this machine. Argo Workflows: `argoBackend` of `sealflow/kubernetes`. */
  backend: "local" | Backend;
}

export interface LocalEnvironmentArgs extends LocalPlatformArgs {
  /** Where sealed objects are kept. @default EncryptedStorageArgs' defaults */
  storage?: EncryptedStorageArgs;
  /** Registry that sealed images go through. @default none: OCI layouts in `.sealflow/images` */
  registry?: ImageRegistry;
}

/** Puts parts together. @throws RunError with every reason why they do not fit. */
export function environment(args: EnvironmentArgs): Environment {
  const backend = args.backend === "local" ? localBackend : args.backend;
  if (typeof backend?.createWorkload !== "function") {
    const known = 'Use "local", or argoBackend(…) of sealflow/kubernetes';
    throw new pulumi.RunError(`environment: backend ${JSON.stringify(backend)} is not available. ${known}`);
  }
  const parts = { ...args, backend };
  const problems = backend.problems(parts);
  if (problems.length > 0) throw new pulumi.RunError(problems.map((text) => `environment: ${text}`).join("\n"));
  return parts;
}

/** Everything on this machine: simulated guests, relying party by `npx sealflow dev`, objects in `.sealflow/`. */
export function localEnvironment(name = "local", args: LocalEnvironmentArgs = {}): Environment {
  const { storage, registry, ...platform } = args;
  return environment({
    platform: new LocalPlatform(`${name}-platform`, platform),
    relyingParty: new RelyingParty(`${name}-relying-party`),
    storage: new EncryptedStorage(`${name}-storage`, storage),
    backend: "local",
    ...(registry === undefined ? {} : { registry }),
  });
}

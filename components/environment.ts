import * as pulumi from "@pulumi/pulumi";
import { LocalPlatform, type LocalPlatformArgs, type Platform } from "./platform/local-platform";
import { RelyingParty } from "./relying-party/relying-party";
import { EncryptedStorage, type EncryptedStorageArgs } from "./storage/encrypted-storage";

/** Where a pipeline lives: the one switch between `local` and production. */
export interface Environment {
  platform: Platform;
  relyingParty: RelyingParty;
  storage: EncryptedStorage;
  /** How Jobs get started. `local`: by the simulated node on this machine. */
  backend: string;
}

export interface LocalEnvironmentArgs extends LocalPlatformArgs {
  /** Where sealed objects are kept. @default EncryptedStorageArgs' defaults */
  storage?: EncryptedStorageArgs;
}

/** Puts parts together, and says which of them do not fit. */
export function environment(parts: Environment): Environment {
  const { backend, platform } = parts;
  if (backend !== "local") {
    throw new pulumi.RunError(`environment: backend "${backend}" is not available. Use "local"`);
  }
  if (platform.confidential) {
    throw new pulumi.RunError(`environment: backend "local" runs simulated guests only. Use a LocalPlatform with it`);
  }
  return parts;
}

/** Everything on this machine: simulated guests, relying party by `npx sealflow dev`, objects in `.sealflow/`. */
export function localEnvironment(name = "local", args: LocalEnvironmentArgs = {}): Environment {
  const { trustPrograms } = args;
  return environment({
    platform: new LocalPlatform(`${name}-platform`, trustPrograms === undefined ? {} : { trustPrograms }),
    relyingParty: new RelyingParty(`${name}-relying-party`),
    storage: new EncryptedStorage(`${name}-storage`, args.storage),
    backend: "local",
  });
}

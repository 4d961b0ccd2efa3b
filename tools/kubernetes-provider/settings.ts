/** The provider's own configuration: what of it the stand-in follows, and what it refuses instead of doing it wrongly. */
import { plain, type Values } from "../../provider/server/values";

export interface Settings {
  /** Applies take fields over that somebody else has set. */
  readonly patchForce: boolean;
  /** Creating an object that is there already changes it. */
  readonly upsert: boolean;
  /** A Secret's or ConfigMap's data is changed in place instead of making another object. */
  readonly secretMutable: boolean;
  readonly configMapMutable: boolean;
  /** Objects of a cluster that does not answer count as gone. */
  readonly deleteUnreachable: boolean;
}

/** The program's word counts before the environment's. */
export function settingsOf(config: Values, env: NodeJS.ProcessEnv = process.env): Settings {
  const on = (option: string, variable: string): boolean => {
    const said = textOf(config, option) ?? env[`PULUMI_K8S_${variable}`];
    return said === "true";
  };
  return {
    patchForce: on("enablePatchForce", "ENABLE_PATCH_FORCE"),
    upsert: on("upsertExistingObjects", "UPSERT_EXISTING_OBJECTS"),
    secretMutable: on("enableSecretMutable", "ENABLE_SECRET_MUTABLE"),
    configMapMutable: on("enableConfigMapMutable", "ENABLE_CONFIGMAP_MUTABLE"),
    deleteUnreachable: on("deleteUnreachable", "DELETE_UNREACHABLE"),
  };
}

const REFUSED = ["renderYamlToDirectory", "alwaysRender", "context", "cluster", "skipUpdateUnreachable"];

/** Options that change what a provider does and that this one has not. */
export function refusedOptions(config: Values): { option: string; why: string }[] {
  const unknown = REFUSED.filter((option) => textOf(config, option) !== undefined).map((option) => ({
    option,
    why: "the stand-in for tests has no such option",
  }));
  const clientSide = textOf(config, "enableServerSideApply") === "false";
  const why = "the stand-in for tests applies on the server only";
  return [...unknown, ...(clientSide ? [{ option: "enableServerSideApply", why }] : [])];
}

/** The SDK sends everything but text as JSON. */
function textOf(config: Values, option: string): string | undefined {
  const value = plain(config[option] ?? null);
  return value === null ? undefined : String(value);
}

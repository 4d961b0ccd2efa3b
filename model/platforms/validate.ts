/** Everything that can be wrong with a platform before anything is deployed, each with its remedy. */
import type { PlatformArgs } from "./args";
import { checkKubernetes, checkNetwork, checkWorkers } from "./check/cluster";
import { checkHosts, checkRuntimeClass } from "./check/hosts";
import { checkInstances } from "./check/instances";
import { checkImage, checkRegion } from "./check/place";
import { checkDisk, checkTrust } from "./check/trust";
import { platformProblem, usablePlatform } from "./lookup";
import { PlatformError, type PlatformProblem, Problems } from "./problems";
import type { PlatformModel } from "./types";

/** Release of Cloud API Adaptor whose chart is installed: image and adaptor must be the same. */
export const ADAPTOR_RELEASE = "0.22.0";

/** Arguments that only some models have. What is given elsewhere is a misunderstanding, so it is an error. */
const ONLY: Readonly<Partial<Record<keyof PlatformArgs, readonly PlatformModel[]>>> = {
  region: ["peer-pods", "node-pool"],
  instances: ["peer-pods", "node-pool"],
  workers: ["peer-pods", "node-pool"],
  kubernetesVersion: ["peer-pods", "node-pool", "bare-metal"],
  hosts: ["bare-metal"],
  image: ["peer-pods", "node-pool", "bare-metal"],
  network: ["peer-pods"],
  login: ["peer-pods"],
  plainVms: ["peer-pods"],
  leakController: ["peer-pods"],
};

/** @returns all problems, errors first; empty: nothing is wrong. Pure: the same arguments give the same answer. */
export function validatePlatform(args: PlatformArgs): PlatformProblem[] {
  const out = new Problems();
  const row = usablePlatform(args.platform);
  if (row === undefined) {
    out.error("PLATFORM", "platform", platformProblem(args.platform) ?? "");
    return out.found;
  }
  for (const [name, models] of Object.entries(ONLY)) {
    if (args[name as keyof PlatformArgs] === undefined || models.includes(row.model)) continue;
    out.error(
      "UNUSED",
      name,
      `${row.platform} has nothing of the kind; remove it, or choose the platform that it is meant for`,
    );
  }
  checkRegion(row, args, out);
  checkImage(row, args, ADAPTOR_RELEASE, out);
  checkInstances(row, args, out);
  checkKubernetes(row, args, out);
  checkWorkers(row, args, out);
  checkHosts(row, args, out);
  checkRuntimeClass(row, args, out);
  checkDisk(row, args, out);
  checkNetwork(row, args, out);
  checkTrust(row, args, out);
  if (row.state === "experimental") out.warn("PLATFORM", "platform", `${row.platform} is experimental: ${row.reason}`);
  return [...out.found].sort((a, b) => Number(a.severity === "warning") - Number(b.severity === "warning"));
}

/**
 * @param name of the component, for messages.
 * @returns the warnings, which previews and reports repeat. @throws PlatformError PLATFORM with every error.
 */
export function requirePlatform(name: string, args: PlatformArgs): PlatformProblem[] {
  const problems = validatePlatform(args);
  const errors = problems.filter(({ severity }) => severity === "error");
  if (errors.length > 0) throw new PlatformError(name, errors);
  return problems;
}

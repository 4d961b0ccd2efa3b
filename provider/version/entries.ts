/**
 * A step's entry passes through the program on its way from its StepIdentity to the version. Its keys follow from root,
 * step and identity, so one that was changed on the way is found: another key there would sign receipts, or be sent
 * parameters, in the step's name.
 */
import { parameterPublic, publicOf, stepSigningSeed } from "../../protocol/keys";
import type { DescriptorStep } from "../../protocol/messages";
import type { Keys } from "../keys";
import { ProviderError } from "../server/errors";

/** @throws ProviderError INPUT */
export function requireOwnKeys({ root, facts: { pipelineUid } }: Keys, steps: Record<string, DescriptorStep>): void {
  const other = Object.entries(steps).filter(
    ([step, { identity, publicKey, parameterKey }]) =>
      publicKey !== publicOf("Ed25519", stepSigningSeed(root, pipelineUid, step, identity)) ||
      parameterKey !== parameterPublic(root, pipelineUid, step),
  );
  if (other.length === 0) return;
  const names = other.map(([step]) => step).join(", ");
  const remedy = "Pass `entry` of each step's StepIdentity under the step's own name, as it is";
  throw new ProviderError(
    "INPUT",
    `steps: the entries of ${names} have keys that are not those of their step. ${remedy}`,
  );
}

import type { AnyDefinition } from "../server/definition";
import { kbsResource } from "./kbs-resource";
import { pipelineKeys } from "./pipeline-keys";
import { pipelineVersion } from "./pipeline-version";
import { stepIdentity } from "./step-identity";

/** Everything that the plugin offers. */
export const definitions: readonly AnyDefinition[] = [pipelineKeys, stepIdentity, pipelineVersion, kbsResource];

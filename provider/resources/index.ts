import type { AnyDefinition } from "../server/definition";
import { pipelineKeys } from "./pipeline-keys";

/** Everything that the plugin offers. */
export const definitions: readonly AnyDefinition[] = [pipelineKeys];

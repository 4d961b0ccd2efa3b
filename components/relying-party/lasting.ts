/** What of the relying party cannot be made again: runs and grants in its database, and the keys that they are bound to. */
import type { CustomResourceOptions } from "@pulumi/pulumi";
import { type PlacementArgs, ServiceMode } from "./placement";

export interface LastingArgs {
  /**
   * The database in the cluster, the ledger's keys and the namespace may be deleted, with all runs: by destroy, or where
   * another name, namespace or cluster replaces them. @default false: in production Pulumi stops at them
   */
  deleteState?: boolean;
}

/** Options of such a resource. Nothing is set where it is not kept, so that `protect` of the component still counts. */
export const lastingOptions = ({
  mode = ServiceMode.Production,
  deleteState = false,
}: PlacementArgs & LastingArgs): CustomResourceOptions =>
  mode === ServiceMode.Production && !deleteState ? { protect: true } : {};

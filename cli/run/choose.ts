import type { PipelineConnection } from "../../protocol/connection";
import { CliError } from "../errors";
import { argoBackend } from "./argo";
import type { Backend } from "./backend";

/** The one that the caller names, else what the pipeline was deployed with. @throws CliError USAGE, NO_WORKLOAD. */
export function chooseBackend(
  { name, backend }: PipelineConnection,
  wanted: string | undefined,
  local: Backend,
): Backend {
  const kind = wanted ?? backend?.kind ?? "local";
  if (kind !== "local" && kind !== "argo") throw new CliError("USAGE", `--backend ${kind}: there are local and argo`);
  if (kind === (backend?.kind ?? "local")) return kind === "local" ? local : argoBackend;
  const deployed = backend ? "on Argo Workflows" : "on this machine";
  throw new CliError(
    "NO_WORKLOAD",
    `pipeline "${name}" was deployed ${deployed}, so --backend ${kind} finds no Jobs. Deploy it with that backend first`,
  );
}

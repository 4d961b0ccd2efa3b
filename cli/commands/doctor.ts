import { existsSync, readFileSync } from "node:fs";
import * as path from "node:path";
import { usablePlatform } from "../../model";
import { answerRuntime } from "../../policy/runtime";
import { type Connection, connection as connectionShape } from "../../protocol/connection";
import { parse } from "../../protocol/shape";
import { readAdminKey } from "../../provider/admin-key";
import { readRoutes } from "../../relying-party/http/routes";
import { adminTokens, KbsAdmin } from "../../relying-party/kbs-client";
import { LedgerClient } from "../../relying-party/ledger-client";
import { KubernetesClient, KubernetesError, readKubeconfig } from "../../untrusted/kubernetes";
import type { Context } from "../context";
import { CliError } from "../errors";
import { EXIT } from "../exit-codes";
import { type Choice, choosePipeline, listPipelines } from "../support/pipelines";

export interface DoctorOptions extends Choice {
  /** Row of the capability matrix whose runtime the cluster of $KUBECONFIG is asked for. */
  readonly platform?: string | undefined;
  /** Default: the row's first. */
  readonly runtimeClass?: string | undefined;
}

interface Finding {
  readonly check: string;
  /** `skipped`: nothing to look at, or what it needs is not there. */
  readonly state: "ok" | "wrong" | "skipped";
  /** What was found, and when it is wrong what to do. */
  readonly found: string;
}

/** `sealflow doctor`: looks at everything between here and a guest, all of it even when something is wrong. */
export async function doctor(context: Context, options: DoctorOptions): Promise<number> {
  const row = options.platform === undefined ? undefined : usablePlatform(options.platform);
  if (options.platform !== undefined && row === undefined) {
    throw new CliError("USAGE", `--platform: there is no usable "${options.platform}". See: sealflow platforms`);
  }
  const found = connectionOf(context, options);
  const findings: Finding[] = [
    found === undefined
      ? wrong("connection", "none in .sealflow. Start a relying party here (sealflow dev), deploy, or sealflow connect")
      : ok("connection", `key broker ${found.connection.kbsUrl}, ledger ${found.connection.ledgerUrl}`),
  ];
  if (found) findings.push(await ledgerAnswers(context, found.connection), ...(await brokerDecides(context, found)));
  if (row) findings.push(...(await clusterTakes(context, row.runtimeClasses[0] ?? "", row, options.runtimeClass)));
  const lines = findings.map(({ check, state, found: text }) => `${MARK[state]} ${check}: ${text}`);
  context.result({ findings }, lines);
  return findings.some(({ state }) => state === "wrong") ? EXIT.refused : EXIT.ok;
}

const MARK = { ok: "ok     ", wrong: "WRONG  ", skipped: "skipped" };
const ok = (check: string, found: string): Finding => ({ check, state: "ok", found });
const wrong = (check: string, found: string): Finding => ({ check, state: "wrong", found });
const skipped = (check: string, found: string): Finding => ({ check, state: "skipped", found });

interface Found {
  readonly connection: Connection;
  /** Whether it is the relying party of this machine. */
  readonly local: boolean;
}

function connectionOf(context: Context, choice: Choice): Found | undefined {
  const file = path.join(context.home, "connection.json");
  const own = existsSync(file)
    ? parse<Connection>(connectionShape, JSON.parse(readFileSync(file, "utf8")), "connection.json")
    : undefined;
  const chosen = choice.stack !== undefined || choice.pipeline !== undefined;
  if (!chosen && listPipelines(context.home).length === 0) return own && { connection: own, local: true };
  const { kbsUrl, ledgerUrl, caPem, ledgerKey } = choosePipeline(context.home, choice).connection;
  return { connection: { version: 1, kbsUrl, ledgerUrl, caPem, ledgerKey }, local: own?.ledgerKey === ledgerKey };
}

async function ledgerAnswers({ home, io }: Context, connection: Connection): Promise<Finding> {
  const { ledgerUrl: url, caPem, ledgerKey } = connection;
  const ledger = new LedgerClient({ url, caPem, ledgerKey, routes: readRoutes(home, io.env) });
  try {
    const { size } = await ledger.head();
    return ok("ledger", `answers with the pinned key, ${size} entries`);
  } catch (error) {
    return wrong("ledger", `${(error as Error).message}. Start it, or name another way to it in SEALFLOW_ROUTES`);
  } finally {
    ledger.close();
  }
}

/** Its policies cannot be read back, so a simulated guest tries what they let through. */
async function brokerDecides({ home, io }: Context, { connection, local }: Found): Promise<Finding[]> {
  const { kbsUrl: url, caPem } = connection;
  const names = ["key broker", "policies"] as const;
  let token: () => Promise<string>;
  try {
    token = adminTokens(readAdminKey({ home, env: io.env }, local ? undefined : { kbsUrl: url, caPem }), () =>
      io.now().getTime(),
    );
  } catch (error) {
    return names.map((name) => skipped(name, (error as Error).message));
  }
  const kbs = new KbsAdmin({ url, caPem, token, routes: readRoutes(home, io.env) });
  try {
    await kbs.checkAccess();
  } catch (error) {
    kbs.close();
    return [wrong(names[0], `${(error as Error).message}. Start it, or name another way to it in SEALFLOW_ROUTES`)];
  }
  try {
    const { mode, checks } = await kbs.canary("any");
    const simulated = mode === "development" ? "; simulated guests get keys, so nothing here is confidential" : "";
    return [
      ok(names[0], "answers and knows this machine's admin key"),
      ok(names[1], `${mode}: ${checks.join(", ")}${simulated}`),
    ];
  } catch (error) {
    const remedy = "Run sealflow up, which installs Sealflow's policies";
    return [
      ok(names[0], "answers and knows this machine's admin key"),
      wrong(names[1], `${(error as Error).message}. ${remedy}`),
    ];
  } finally {
    kbs.close();
  }
}

async function clusterTakes(
  { io }: Context,
  usual: string,
  { model }: { readonly model: string },
  runtimeClass = usual,
): Promise<Finding[]> {
  if (runtimeClass === "" || model === "simulated") {
    return [skipped("runtime class", "guests of this platform run on this machine")];
  }
  let client: KubernetesClient;
  try {
    client = new KubernetesClient(readKubeconfig(io.env));
  } catch (error) {
    return [wrong("cluster", (error as Error).message)];
  }
  try {
    const found = await client
      .get(`/apis/node.k8s.io/v1/runtimeclasses/${encodeURIComponent(runtimeClass)}`)
      .catch((error: unknown) => {
        if (error instanceof KubernetesError && error.code === "API_NOT_FOUND") return undefined;
        throw error;
      });
    const { items } = await client.list("/api/v1/nodes");
    const resources = model === "peer-pods" ? ["kata.peerpods.io/vm"] : [];
    const { node, handler, problems } = answerRuntime({ runtimeClass, nodeLabels: {}, resources }, found, items);
    if (found === undefined) return [wrong("runtime class", problems.join("; "))];
    return [
      ok("runtime class", `${runtimeClass}, handler ${handler}`),
      node === undefined ? wrong("nodes", problems.join("; ")) : ok("nodes", `${node} can take a guest`),
    ];
  } catch (error) {
    return [wrong("cluster", (error as Error).message)];
  } finally {
    client.close();
  }
}

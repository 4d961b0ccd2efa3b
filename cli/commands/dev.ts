import * as path from "node:path";
import { type DevStatus, devStatus, startDev, startDevDetached, stopDev } from "../../relying-party/dev";
import type { Context } from "../context";
import { packageRoot } from "../engine";
import { CliError } from "../errors";
import { EXIT } from "../exit-codes";
import type { Backend } from "../run/backend";
import { keepSchedules } from "../run/schedules";

export interface DevOptions {
  readonly detach?: boolean;
  readonly stop?: boolean;
  readonly status?: boolean;
  /** URL of an object store on this machine instead of the embedded one. */
  readonly store?: string;
}

/** `sealflow dev`: the relying party of this project on loopback; it also carries out slots of schedules that are due. */
export async function dev(context: Context, options: DevOptions, backend: Backend): Promise<number> {
  if ([options.detach, options.stop, options.status].filter(Boolean).length > 1) {
    throw new CliError("USAGE", "dev: only one of --detach, --stop and --status");
  }
  if (options.stop) return stop(context);
  if (options.status) return status(context);
  if (options.detach) return detach(context, options.store);
  return foreground(context, backend, options.store);
}

async function foreground(context: Context, backend: Backend, store: string | undefined): Promise<number> {
  const services = await startDev({
    home: context.home,
    log: (line) => context.say(line),
    ...(store === undefined ? {} : { store }),
  });
  const { kbsUrl, ledgerUrl } = services.connection;
  context.result({ kbsUrl, ledgerUrl }, [
    `key broker  ${kbsUrl}`,
    `ledger      ${ledgerUrl}`,
    `state       ${context.show(context.home)}`,
    "This relying party believes simulated evidence: nothing that runs on it is confidential. Ctrl-C stops it.",
  ]);
  const keeping = keepSchedules(context, backend);
  try {
    await aborted(context.io.signal);
    await keeping;
  } finally {
    await services.close();
  }
  return EXIT.ok;
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    // A pending promise alone does not keep a process; the listeners of the services do.
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });

/** Starts it in the background unless it runs. */
export async function startServices(context: Context, store?: string): Promise<{ pid: number; started: boolean }> {
  const bin = path.join(packageRoot(), "bin", "sealflow.js");
  return startDevDetached({
    home: context.home,
    launcher: [
      process.execPath,
      bin,
      "dev",
      "--project",
      context.root,
      ...(store === undefined ? [] : ["--store", store]),
    ],
    cwd: context.root,
  });
}

async function detach(context: Context, store: string | undefined): Promise<number> {
  const { pid, started } = await startServices(context, store);
  const log = context.show(path.join(context.home, "dev", "log"));
  context.result(
    { running: true, started, pid },
    `${started ? "started" : "runs already"}: process ${pid}, log ${log}`,
  );
  return EXIT.ok;
}

async function stop(context: Context): Promise<number> {
  const stopped = await stopDev({ home: context.home });
  context.result({ stopped }, stopped ? "stopped" : "it was not running");
  return EXIT.ok;
}

async function status(context: Context): Promise<number> {
  const found = await devStatus({ home: context.home });
  context.result({ ...found, connection: undefined }, statusText(found));
  return found.ready ? EXIT.ok : EXIT.unreachable;
}

function statusText({ running, ready, pid, since, connection }: DevStatus): string {
  if (!running) return "not running. Start it with: sealflow dev --detach";
  const where = connection ? `, ledger ${connection.ledgerUrl}, key broker ${connection.kbsUrl}` : "";
  return `${ready ? "running" : "running, but it does not answer"}: process ${pid}, since ${since}${where}`;
}

/** The runner in this process: real ledger and store, a CDH that answers with one bundle, programs as plain children. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { layoutOf } from "../../../guest/layout";
import { runStep } from "../../../guest/run";
import type { Deployed, StepSource } from "./deployed";

/** A runner layer for tests that start no guest: images have one, nobody unpacks it. */
export async function emptyLayer(home: string): Promise<{ path: string; digest: string; size: number }> {
  const { createHash } = await import("node:crypto");
  const path = join(home, "empty-layer.tar");
  const bytes = Buffer.alloc(1024);
  writeFileSync(path, bytes);
  return { path, digest: createHash("sha256").update(bytes).digest("hex"), size: bytes.length };
}

export interface InProcessEnd {
  readonly exitCode: number;
  /** Words of the runner. */
  readonly words: string[];
}

export interface InProcessOptions {
  readonly run?: string;
  readonly env?: Record<string, string>;
  /** Served instead of the step's bundle. */
  readonly bundle?: string | { readonly status: number; readonly body: string };
  readonly ownerKey?: string;
}

/** @param source what was deployed as this step: its files become /app. */
export async function runInProcess(
  d: Deployed,
  step: string,
  source: StepSource,
  options: InProcessOptions = {},
): Promise<InProcessEnd> {
  const root = mkdtempSync(join(tmpdir(), "sealflow-runner-"));
  const served = options.bundle ?? d.bundles[step] ?? "";
  const cdh = createServer((_request, response) => {
    if (typeof served === "string") response.end(served);
    else response.writeHead(served.status).end(served.body);
  });
  await new Promise<void>((resolve) => cdh.listen(0, "127.0.0.1", resolve));
  const words: string[] = [];
  try {
    for (const folder of ["sealflow", "sealflow-owner", "app"]) mkdirSync(join(root, folder));
    const ownerPublicKey = options.ownerKey ?? d.ownerPublicKey;
    writeFileSync(join(root, "sealflow-owner", "owner.json"), JSON.stringify({ v: 1, ownerPublicKey }));
    for (const [file, text] of Object.entries(source.files)) writeFileSync(join(root, "app", file), text);
    const exitCode = await runStep({
      layout: layoutOf(join(root, "sealflow", "runner.js")),
      env: {
        SEALFLOW_RESOURCE: d.resources[step],
        ...(options.run === undefined ? {} : { SEALFLOW_RUN: options.run }),
        ...options.env,
      },
      execArgv: [],
      cdh: `http://127.0.0.1:${(cdh.address() as AddressInfo).port}`,
      report: {
        stage: (stage) => words.push(stage),
        ended: (how) => words.push(how),
        failed: (code) => words.push(code),
      },
    });
    return { exitCode, words };
  } finally {
    cdh.close();
    cdh.closeAllConnections();
    rmSync(root, { recursive: true, force: true });
  }
}

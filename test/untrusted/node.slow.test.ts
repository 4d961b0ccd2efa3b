/** The simulated node against a hostile or broken surrounding: what a guest must refuse, and what must not be left. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createNode, type NodeEvent } from "../../untrusted/node";
import { makeGuestFolder, sweepGuests } from "../../untrusted/node/places";
import { type Deployed, deploy } from "../guest/support/deployed";
import { cannotRunGuests } from "../guest/support/runner-layer";

const reason = cannotRunGuests();
(reason ? describe.skip : describe)(`the simulated node${reason ? ` (${reason})` : ""}`, () => {
  let d: Deployed;
  const slow = { files: { "main.js": `setInterval(() => {}, 1000, "sleeps-0815")` } };
  const good = {
    files: { "main.js": `require("fs").writeFileSync("/sealflow/out/a", "{}")` },
    outputs: { a: { format: "json" as const } },
  };
  beforeAll(async () => {
    d = await deploy({
      steps: { slow: { ...slow, limits: { retryLimit: 9 } }, good: { ...good, limits: { retryLimit: 9 } } },
    });
  }, 60_000);
  afterAll(() => d?.close());
  const nodeOf = (mode?: "namespaces" | "process") =>
    createNode({ home: d.home, connection: d.connection, ...(mode ? { mode } : {}) });
  const guests = () => readdirSync(join(d.home, "guests"));
  /** Runners of this suite's node: others of this machine come and go. */
  const running = (): number =>
    readdirSync("/proc").filter((pid) => {
      try {
        const says = (what: string, text: string) => readFileSync(`/proc/${pid}/${what}`, "utf8").includes(text);
        return (
          /^\d+$/.test(pid) &&
          says("cmdline", "sealflow/runner.js") &&
          (says("cmdline", d.home) || says("mountinfo", d.home))
        );
      } catch {
        return false;
      }
    }).length;
  const until = async (condition: () => boolean): Promise<void> => {
    for (let i = 0; i < 200 && !condition(); i++) await sleep(50);
    expect(condition()).toBe(true);
  };

  test("events come in order, and the guest's folder is gone afterwards", async () => {
    const run = await d.openRun();
    const events: NodeEvent[] = [];
    const end = await nodeOf().runJob(d.jobs.good, { runHint: run, onEvent: (event) => events.push(event) });
    expect(end).toMatchObject({ exitCode: 0, mode: "namespaces" });
    expect(events.map((e) => e.stage)).toEqual([
      "waiting",
      "attesting",
      "pulling",
      "running",
      "committing",
      "committing",
      "done",
    ]);
    expect(events.every((e, i) => e.at >= (events[i - 1]?.at ?? 0))).toBe(true);
    expect(guests()).toEqual([]);
  }, 30_000);

  test.each(["namespaces", "process"] as const)(
    "cancelling ends everything at once, mode %s",
    async (mode) => {
      const run = await d.openRun();
      const stop = new AbortController();
      const onEvent = ({ stage }: NodeEvent) => {
        if (stage === "running") setTimeout(() => stop.abort(), 500);
      };
      const before = running();
      const end = await nodeOf(mode).runJob(d.jobs.slow, { runHint: run, onEvent, signal: stop.signal });
      expect(end).toMatchObject({ exitCode: 137, code: "STOPPED", reason: "cancelled" });
      await until(() => running() <= before);
      expect(guests()).toEqual([]);
    },
    30_000,
  );

  test("a node that is killed takes its guests with it, and the next one sweeps what is left", async () => {
    const run = await d.openRun();
    const script = join(d.home, "node.js");
    const dist = join(__dirname, "..", "..", "dist", "untrusted", "node");
    writeFileSync(
      script,
      `const { createNode } = require(${JSON.stringify(dist)});
       const job = ${JSON.stringify(d.jobs.slow)};
       createNode({ home: ${JSON.stringify(d.home)}, connection: ${JSON.stringify(d.connection)} })
         .runJob(job, { runHint: "${run}", onEvent: (e) => console.log(e.stage) });`,
    );
    const before = running();
    const child: ChildProcess = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout?.on("data", (text: Buffer) => {
      output += text.toString();
    });
    await until(() => output.includes("running"));
    expect(running()).toBeGreaterThan(before);
    expect(guests()).toHaveLength(1);
    child.kill("SIGKILL");
    await until(() => running() <= before);
    const kept = await makeGuestFolder(join(d.home, "guests"));
    await sweepGuests(join(d.home, "guests"));
    expect(guests().map((name) => join(d.home, "guests", name))).toEqual([kept]);
    rmSync(kept, { recursive: true });
  }, 60_000);

  type Json = Record<string, unknown>;
  const changed = (
    change: (job: { spec: { template: { metadata: { annotations: Json }; spec: { containers: Json[] } } } }) => void,
  ) => {
    const job = structuredClone(d.jobs.good) as never;
    change(job);
    return job as unknown;
  };
  test.each<[string, unknown, object]>([
    [
      "without initdata",
      (j: never) => {
        const { annotations } = (j as { spec: { template: { metadata: { annotations: Json } } } }).spec.template
          .metadata;
        for (const name of Object.keys(annotations)) delete annotations[name];
      },
      { exitCode: 20, code: "INITDATA" },
    ],
  ])("a Job %s is refused", async (_what, change, expected) => {
    expect(await nodeOf().runJob(changed(change as never))).toMatchObject(expected);
  });

  test.each<[string, (container: Json) => void]>([
    [
      "another command",
      (c) => {
        c.command = ["/sealflow/bin/node", "-e", "0"];
      },
    ],
    [
      "NODE_OPTIONS",
      (c) => {
        (c.env as Json[]).push({ name: "NODE_OPTIONS", value: "--inspect" });
      },
    ],
    [
      "LD_PRELOAD",
      (c) => {
        (c.env as Json[]).push({ name: "LD_PRELOAD", value: "/app/x.so" });
      },
    ],
    [
      "a writable root",
      (c) => {
        (c.securityContext as Json).readOnlyRootFilesystem = false;
      },
    ],
    [
      "another mount",
      (c) => {
        (c.volumeMounts as Json[]).push({ name: "scratch", mountPath: "/sealflow/lib" });
      },
    ],
    [
      "more capabilities",
      (c) => {
        ((c.securityContext as Json).capabilities as { add: string[] }).add.push("SYS_MODULE");
      },
    ],
  ])("a Job with %s is refused by the agent policy", async (_what, change) => {
    const job = changed(({ spec }) => change(spec.template.spec.containers[0] as Json));
    expect(await nodeOf().runJob(job)).toMatchObject({ exitCode: 20, code: "POLICY" });
  });

  test("a manifest that is no Job is refused with every problem", async () => {
    await expect(nodeOf().runJob({ kind: "Pod" })).rejects.toMatchObject({ code: "MANIFEST" });
  });

  /** Changes one byte of a file for the time of `work`. */
  async function withFlipped(path: string, at: number, work: () => Promise<void>): Promise<void> {
    const bytes = readFileSync(path);
    const bad = Buffer.from(bytes);
    bad[at % bad.length] = (bad[at % bad.length] as number) ^ 1;
    writeFileSync(path, bad);
    try {
      await work();
    } finally {
      writeFileSync(path, bytes);
    }
  }

  test("an image with any changed blob is refused, and a missing one is named", async () => {
    const reference = d.jobs.good?.spec.template.spec.containers[0].image ?? "";
    const [, name, digest] = /\/([^/]+)@sha256:([0-9a-f]{64})$/.exec(reference) ?? [];
    const blobs = join(d.home, "images", name ?? "", "blobs", "sha256");
    const { layers } = JSON.parse(readFileSync(join(blobs, digest ?? ""), "utf8")) as { layers: { digest: string }[] };
    const owner = layers[1]?.digest.slice(7) ?? "";
    const code = layers[2]?.digest.slice(7) ?? "";
    for (const [blob, at] of [
      [digest, 40],
      [owner, 600],
      [code, 10],
      [code, 5000],
    ] as const) {
      await withFlipped(join(blobs, blob ?? ""), at, async () => {
        expect(await nodeOf().runJob(d.jobs.good)).toMatchObject({ exitCode: 20, code: "IMAGE" });
      });
    }
    const kept = readFileSync(join(blobs, code));
    rmSync(join(blobs, code));
    expect(await nodeOf().runJob(d.jobs.good)).toMatchObject({ exitCode: 20, code: "IMAGE_MISSING" });
    writeFileSync(join(blobs, code), kept);
    expect(createHash("sha256").update(kept).digest("hex")).toBe(code);
    expect(existsSync(join(d.home, "images", name ?? ""))).toBe(true);
  }, 30_000);

  test("a guest whose grant was revoked gets no key", async () => {
    const other = await deploy({ steps: { good } });
    try {
      const node = createNode({ home: other.home, connection: other.connection });
      for (const [, id] of Object.entries(other.grants)) await other.kbs.revokeGrant(id);
      expect(await node.runJob(other.jobs.good, { runHint: await other.openRun() })).toMatchObject({
        exitCode: 20,
        code: "KEY_DENIED",
      });
    } finally {
      await other.close();
    }
  }, 60_000);
});

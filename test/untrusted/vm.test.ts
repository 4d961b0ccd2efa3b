/** A guest that is cancelled while its namespaces are being made is gone, with whatever bubblewrap had begun. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { runVm } from "../../untrusted/node/vm";
import { isAlive } from "../../untrusted/process";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "sealflow-vm-"));
});
const pidFile = () => path.join(dir, "pid");
const pid = () => (existsSync(pidFile()) ? Number(readFileSync(pidFile(), "utf8")) : 0);
afterEach(() => {
  if (pid() > 0 && isAlive(pid())) process.kill(pid(), "SIGKILL");
  rmSync(dir, { recursive: true, force: true });
});

test("bubblewrap's child that does not yet die with it holds nothing up, and does not stay", async () => {
  // In bubblewrap's place, at the moment between its clone and its child's wish to die with it.
  mkdirSync(path.join(dir, "runner/lib"), { recursive: true });
  const program = path.join(dir, "runner/lib/ld.so");
  writeFileSync(program, `#!/bin/sh\nsleep 600 &\necho $! >"${pidFile()}"\nwait\n`);
  chmodSync(program, 0o755);
  mkdirSync(path.join(dir, "guests"));
  const cancelled = new AbortController();
  const ended = runVm({
    config: { requests: {} as never, layouts: {}, layers: {} },
    mode: "namespaces",
    guests: path.join(dir, "guests"),
    runner: path.join(dir, "runner"),
    targets: [],
    onLine: () => undefined,
    signal: cancelled.signal,
    deadlineSeconds: 600,
  });
  while (pid() === 0) await sleep(10);
  cancelled.abort();
  expect(await ended).toMatchObject({ code: "STOPPED" });
  for (let n = 0; n < 200 && isAlive(pid()); n++) await sleep(10);
  expect(isAlive(pid())).toBe(false);
}, 10_000);

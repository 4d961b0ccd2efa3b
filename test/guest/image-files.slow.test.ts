/** Files of an image that Node and its loader read by themselves: none of them reaches the runner. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RUNNER_ARGV, stepEnvironment } from "../../policy/agent/text";
import { cannotRunGuests, unpackedRunnerLayer } from "./support/runner-layer";

/** libcap is no provider, so whoever loads it as one fails at start: a mark that the file was read. */
const CONFIG = `nodejs_conf = a
[a]
providers = b
[b]
evil = c
[c]
module = /sealflow/lib/libcap.so.2
activate = 1
`;

const reason = cannotRunGuests();
(reason ? describe.skip : describe)(`an image with /etc/ssl/openssl.cnf${reason ? ` (${reason})` : ""}`, () => {
  let root: string;
  let layer: string;
  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), "image-files-"));
    layer = join(await unpackedRunnerLayer(), "sealflow");
    for (const folder of ["etc/ssl", "sealflow", "proc", "dev"]) mkdirSync(join(root, folder), { recursive: true });
    writeFileSync(join(root, "etc/ssl/openssl.cnf"), CONFIG);
    expect(existsSync(join(layer, "lib", "libcap.so.2"))).toBe(true);
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  const start = (env: Record<string, string>) => {
    const argv = [...RUNNER_ARGV.slice(0, -1), "-e", "console.log(require('crypto').randomBytes(4).length)"];
    const view = ["--bind", root, "/", "--ro-bind", layer, "/sealflow", "--proc", "/proc", "--dev", "/dev"];
    const bwrap = [join(layer, "bin", "bwrap"), ...view, "--", ...argv];
    return spawnSync(join(layer, "lib", "ld.so"), ["--library-path", join(layer, "lib"), ...bwrap], {
      env,
      encoding: "utf8",
    });
  };

  it("loads nothing into Node with the environment that the agent policy pins", () => {
    const { status, stdout } = start(stepEnvironment("ns/step/x"));
    expect([status, stdout]).toEqual([0, "4\n"]);
  });

  it("would without OPENSSL_CONF in it", () => {
    const { OPENSSL_CONF, ...others } = stepEnvironment("ns/step/x");
    expect(OPENSSL_CONF).toBe("/dev/null");
    expect(start(others).status).not.toBe(0);
  });
});

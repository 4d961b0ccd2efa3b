import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { type Dev, startDev } from "../../relying-party/dev";
import { call } from "./support/call";

let root: string;
let dev: Dev | undefined;
const sealflow = (args: string[], env: Record<string, string> = {}) => call(["doctor", ...args], { cwd: root, env });

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "sealflow-doctor-"));
  writeFileSync(path.join(root, "Pulumi.yaml"), "name: p\nruntime: nodejs\n");
  mkdirSync(path.join(root, ".sealflow"));
});
afterEach(async () => {
  await dev?.close();
  dev = undefined;
  rmSync(root, { recursive: true, force: true });
});
const start = async () => {
  dev = await startDev({ home: path.join(root, ".sealflow"), log: () => undefined });
};

describe("sealflow doctor", () => {
  it("finds no relying party, and says how to get one", async () => {
    const { code, stdout } = await sealflow([]);
    expect(code).toBe(5);
    expect(stdout).toMatch(/^WRONG {2} connection: .*sealflow dev/m);
  });

  it("tries policies by a guest, one without initdata included, and tells that simulated ones protect nothing", async () => {
    await start();
    const { code, stdout } = await sealflow([]);
    expect(stdout).toMatch(/^ok {6}ledger: answers with the pinned key/m);
    expect(stdout).toMatch(
      /^ok {6}policies: development: .*guest without initdata refused.*nothing here is confidential/m,
    );
    expect(code).toBe(0);
  });

  it("services that stopped are named, with the ways to reach them", async () => {
    await start();
    await dev?.close();
    dev = undefined;
    const { code, stdout } = await sealflow([]);
    expect(code).toBe(5);
    expect(stdout).toMatch(/^WRONG {2} ledger: .*SEALFLOW_ROUTES/m);
    expect(stdout).toMatch(/^WRONG {2} key broker: /m);
  });

  it("names the node that cannot take a guest, and what it lacks", async () => {
    const node = { metadata: { name: "n1", labels: {} }, status: { conditions: [{ type: "Ready", status: "True" }] } };
    const runtimeClass = {
      handler: "kata-remote",
      scheduling: { nodeSelector: { "katacontainers.io/kata-runtime": "true" } },
    };
    const server = createServer((request, response) => {
      const nodes = request.url?.startsWith("/api/v1/nodes");
      response.setHeader("content-type", "application/json");
      response.end(
        JSON.stringify(
          nodes ? { items: [node], metadata: {} } : { metadata: { name: "kata-remote" }, ...runtimeClass },
        ),
      );
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const kubeconfig = path.join(root, "kubeconfig");
    writeFileSync(
      kubeconfig,
      JSON.stringify({
        "current-context": "c",
        contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
        clusters: [{ name: "c", cluster: { server: `http://127.0.0.1:${(server.address() as AddressInfo).port}` } }],
        users: [{ name: "u", user: { token: "t" } }],
      }),
    );
    const { code, stdout } = await sealflow(["--platform", "azure-peer-pods-snp"], { KUBECONFIG: kubeconfig });
    server.close();
    expect(code).toBe(5);
    expect(stdout).toMatch(/^ok {6}runtime class: kata-remote/m);
    expect(stdout).toMatch(
      /^WRONG {2} nodes: node n1: needs the label katacontainers.*offers no kata\.peerpods\.io\/vm/m,
    );
  });

  it("a platform that there is not is wrong usage", async () => {
    const { code, stderr } = await sealflow(["--platform", "moon"]);
    expect(code).toBe(1);
    expect(stderr).toContain("sealflow platforms");
  });
});

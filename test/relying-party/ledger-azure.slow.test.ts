/** The ledger on a container of Azurite, signed in by workload identity: URLs by user delegation, staged blocks, expiry. */
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { HttpsClient } from "../../relying-party/http/client";
import { createLedger } from "../../relying-party/ledger";
import { startLedgerService } from "../../relying-party/ledger/service";
import { azuriteMissing, FEDERATED, startAzurite } from "../support/azurite-server";
import { certificates } from "../support/https";
import { caller } from "../support/ledger-caller";
import { ciphertext } from "../support/ledger-world";
import { objectStoreSuite, type StoreTarget } from "./suites/object-store";

async function start(): Promise<StoreTarget> {
  const azurite = await startAzurite();
  const { env, keys, unfinished, stop } = azurite;
  return { env, make: azurite.container, keys, unfinished, stop };
}

const changed = (url: string, name: string, value: string): string => {
  const other = new URL(url);
  other.searchParams.set(name, value);
  return other.href;
};

objectStoreSuite("Azure Blob", azuriteMissing(), start, (scene) => {
  it("a place is for writing blocks of one object: it reads nothing, and its signature is for no other object", async () => {
    const go = await scene().claimed();
    const url = go.uploads.data?.url as string;
    expect(new URL(url).searchParams.get("sp")).toBe("w");
    const without = new URL(url);
    for (const name of ["comp", "blockid"]) without.searchParams.delete(name);
    expect((await fetch(without)).status).toBe(403);
    const other = url.replace(go.uploads.data?.object as string, go.log.object);
    expect(other).not.toBe(url);
    expect((await fetch(other, { method: "PUT", body: "x" })).status).toBe(403);
    expect((await fetch(changed(url, "sp", "rw"), { method: "PUT", body: "x" })).status).toBe(403);
    expect((await fetch(changed(url, "se", "2099-01-01T00:00:00Z"), { method: "PUT", body: "x" })).status).toBe(403);
    expect((await fetch(url, { method: "PUT", body: "x" })).status).toBe(201);
  });

  it("blocks that come after the commit, or beside the object's own, change nothing", async () => {
    const { call, world } = scene();
    const go = await scene().claimed();
    const url = go.uploads.data?.url as string;
    const data = ciphertext("data");
    const log = ciphertext("log");
    const stray = changed(url, "blockid", Buffer.from("000007").toString("base64"));
    expect((await fetch(stray, { method: "PUT", body: "stray" })).status).toBe(201);
    await call.put(url, data);
    await call.put(go.log.url, log);
    const token = await world.commit("only", go, { data }, { log });
    expect((await call.commit(token)).status).toBe("committed");
    await call.put(
      url,
      data.map((b) => b ^ 1),
    );
    expect((await call.commit(token)).status).toBe("committed");
    const { body } = await call.get(`/v1/runs/${go.run}/log`, await world.readToken());
    const stored = await Promise.all(
      Object.values(body.objects as Record<string, string>).map(async (get) => (await fetch(get)).bytes()),
    );
    expect(stored.map((bytes) => Buffer.from(bytes).toString("hex"))).toContain(Buffer.from(data).toString("hex"));
  });

  it("the ledger as a service of its own takes the container by SEALFLOW_LEDGER_STORE", async () => {
    const { dir, storeUrl, world } = scene();
    const secrets = join(dir, "secrets");
    const { cert, key, caPem } = await certificates([]);
    const seed = () => randomBytes(32).toString("base64url");
    const files = { "tls.crt": cert, "tls.key": key, "ledger.key": seed(), "object-url.key": seed() };
    mkdirSync(secrets);
    for (const [name, text] of Object.entries(files)) writeFileSync(join(secrets, name), text);
    const env = {
      SEALFLOW_LEDGER_SECRETS: secrets,
      SEALFLOW_LEDGER_STATE: join(dir, "service"),
      SEALFLOW_LEDGER_URL: "https://ledger.test",
      SEALFLOW_LEDGER_STORE: storeUrl,
      SEALFLOW_LEDGER_PORT: "0",
    };
    const service = await startLedgerService(env, () => undefined);
    const http = new HttpsClient({ url: `https://127.0.0.1:${service.port}`, caPem, timeoutMs: 15_000 });
    try {
      const bytes = ciphertext("dataset");
      const body = JSON.stringify({ token: await world.upload(bytes, "put", { ledgerKey: service.ledgerKey }) });
      const headers = { "content-type": "application/json" };
      const answer = await http.call("POST", "/v1/objects", { headers, body });
      const { url } = JSON.parse(answer.body.toString("utf8"));
      expect(url.startsWith(storeUrl.split("?")[0])).toBe(true);
      expect((await fetch(url, { method: "PUT", body: Buffer.from(bytes) })).status).toBe(201);
      const again = await http.call("POST", "/v1/objects", { headers, body });
      expect(JSON.parse(again.body.toString("utf8"))).toMatchObject({ present: true });
    } finally {
      http.close();
      await service.close();
    }
  });

  it("an identity that Entra does not know is told with its code, and neither answer nor log holds a token", async () => {
    const file = join(scene().dir, "stale");
    writeFileSync(file, "planted-stale-token-77aa01");
    const right = process.env.AZURE_FEDERATED_TOKEN_FILE as string;
    process.env.AZURE_FEDERATED_TOKEN_FILE = file;
    const lines: string[] = [];
    const stranger = await createLedger({
      dir: join(scene().dir, "stranger"),
      publicUrl: "https://ledger.test",
      sweepMs: 0,
      storeUrl: "http://127.0.0.1:9/devstoreaccount1/objects?account=devstoreaccount1",
      log: (line) => lines.push(line),
    });
    try {
      const token = await scene().world.upload(ciphertext("x"), "put", { ledgerKey: stranger.ledgerKey });
      const answer = await caller(stranger).post("/v1/objects", token);
      expect(answer.status).toBeGreaterThanOrEqual(500);
      const told = JSON.stringify([answer, lines]);
      expect(told).toMatch(/invalid_client/);
      expect(told).not.toContain("planted-stale-token");
      expect(told).not.toContain(FEDERATED);
    } finally {
      process.env.AZURE_FEDERATED_TOKEN_FILE = right;
      await stranger.close();
    }
  });

  it.each([
    ["https://account.blob.core.windows.net", /container: expected/],
    ["https://example.org/objects", /account: expected/],
    ["http://account.blob.core.windows.net/objects", /https URL/],
    ["https://u:p@account.blob.core.windows.net/objects?sas=1", /credentials.*unknown parameter "sas"/s],
    ["https://127.0.0.1/other/objects?account=account1", /account: its name must begin the path/],
  ])("the URL %s is refused with what is wrong", async (storeUrl, why) => {
    const bad = createLedger({ dir: join(scene().dir, "bad"), publicUrl: "https://ledger.test", storeUrl });
    await expect(bad).rejects.toThrow(why);
  });
});

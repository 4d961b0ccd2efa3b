/** The ledger on a bucket of a real S3 server: transfer, resume, digests at commit, expiry, and a store that lies. */
import { join } from "node:path";
import { createLedger } from "../../relying-party/ledger";
import { caller } from "../support/ledger-caller";
import { ciphertext } from "../support/ledger-world";
import { botocoreSignature, S3_ENV, s3Missing, startS3 } from "../support/s3-server";
import { objectStoreSuite, type StoreTarget } from "./suites/object-store";

const MIB = 1024 * 1024;

async function start(): Promise<StoreTarget> {
  const s3 = await startS3();
  return {
    env: S3_ENV,
    make: s3.bucket,
    keys: s3.keys,
    unfinished: async (bucket) => {
      const text = await (await fetch(`${s3.endpoint}/${bucket}?uploads`)).text();
      return [...text.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key = ""]) => key);
    },
    stop: s3.stop,
  };
}

objectStoreSuite("S3", s3Missing(), start, (scene) => {
  it("signatures are those that botocore gives the same requests, with and without a session token", async () => {
    const go = await scene().claimed();
    const url = go.uploads.data?.url as string;
    const of = (u: string) => new URL(u).searchParams.get("X-Amz-Signature");
    expect(botocoreSignature("PUT", url, S3_ENV.AWS_SECRET_ACCESS_KEY)).toBe(of(url));
    const part = (await scene().places(go, 12 * MIB)).urls[1] as string;
    expect(botocoreSignature("PUT", part, S3_ENV.AWS_SECRET_ACCESS_KEY)).toBe(of(part));
    expect(url).not.toContain(S3_ENV.AWS_SECRET_ACCESS_KEY);
  });

  it("a store that is away is BUSY, and neither the answer nor the log holds a credential", async () => {
    const lines: string[] = [];
    const away = await createLedger({
      dir: join(scene().dir, "away"),
      publicUrl: "https://ledger.test",
      sweepMs: 0,
      storeUrl: "s3://nothing-there?endpoint=http://127.0.0.1:9",
      log: (line) => lines.push(line),
    });
    const answer = await caller(away).post("/v1/objects", await scene().world.upload(ciphertext("x")));
    await away.close();
    expect(answer.code).toBe("BUSY");
    expect(JSON.stringify([answer, lines])).not.toContain(S3_ENV.AWS_SECRET_ACCESS_KEY);
  });

  it("a URL with mistakes names all of them", async () => {
    const bad = createLedger({
      dir: join(scene().dir, "bad"),
      publicUrl: "https://ledger.test",
      storeUrl: "s3://u:p@X/..?endpoint=http://s3.example&colour=red",
    });
    await expect(bad).rejects.toThrow(/credentials.*unknown parameter "colour".*https URL/s);
  });
});

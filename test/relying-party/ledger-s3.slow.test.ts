/**
 * The ledger on a bucket of a real S3 server: transfer, resume, digests at commit, expiry, and a store that lies; with the
 * bucket in the path, and at Amazon's own addresses, where it is in the host's name.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLedger } from "../../relying-party/ledger";
import type { Database } from "../../relying-party/ledger/database/open";
import { openStore } from "../../relying-party/ledger/store/open";
import { s3Credentials } from "../../relying-party/ledger/store/s3/credentials";
import { caller } from "../support/ledger-caller";
import { ciphertext } from "../support/ledger-world";
import { botocoreAddress, botocoreSignature, S3_ENV, type S3Server, s3Missing, startS3 } from "../support/s3-server";
import { objectStoreSuite, type StoreTarget } from "./suites/object-store";

const MIB = 1024 * 1024;

const targetOf = (s3: S3Server): StoreTarget => ({
  env: S3_ENV,
  make: s3.bucket,
  keys: s3.keys,
  unfinished: async (bucket) => {
    const text = await (await fetch(`${s3.endpoint}/${bucket}?uploads`)).text();
    return [...text.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key = ""]) => key);
  },
  stop: s3.stop,
});

const start = async (): Promise<StoreTarget> => targetOf(await startS3());

/** One request as it is, to a port of this machine; `fetch` lets nobody say which host is meant. */
async function delivered(port: number, { host, pathname, search }: URL, asked: Request): Promise<Response> {
  const body = Buffer.from(await asked.arrayBuffer());
  const headers = { ...Object.fromEntries(asked.headers), host, "content-length": String(body.length) };
  const options = { host: "127.0.0.1", port, method: asked.method, path: `${pathname}${search}`, headers };
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    request(options, resolve).on("error", reject).end(body);
  });
  const bytes = Buffer.concat(await answer.toArray());
  const { statusCode: status = 0 } = answer;
  const told = Object.entries(answer.headers).flatMap(([name, value]) =>
    typeof value === "string" ? [[name, value] as [string, string]] : [],
  );
  return new Response(status === 204 || status === 304 ? null : bytes, { status, headers: told });
}

/** Requests to Amazon's names of one region arrive at the server of the test, under these names; all others as they are. */
async function startAtAmazon(region: string): Promise<StoreTarget> {
  const s3 = await startS3();
  const outside = globalThis.fetch;
  globalThis.fetch = async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    return url.host.endsWith(`.s3.${region}.amazonaws.com`)
      ? delivered(s3.port, url, new Request(input, init))
      : outside(input, init);
  };
  return {
    ...targetOf(s3),
    make: async (name) => {
      await s3.bucket(name);
      return `s3://${name}/objects?region=${region}`;
    },
    stop: async () => {
      globalThis.fetch = outside;
      await s3.stop();
    },
  };
}

// Each in a block of its own: their servers and environments are not the other's.
describe("bucket in the path", () =>
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
      const token = await scene().world.upload(ciphertext("x"), "put", { ledgerKey: away.ledgerKey });
      const answer = await caller(away).post("/v1/objects", token);
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
  }));

const REGION = "eu-central-1";
describe("bucket in the host's name", () =>
  objectStoreSuite(
    "S3 at Amazon's addresses",
    s3Missing(),
    () => startAtAmazon(REGION),
    (scene) => {
      it("guests get the bucket in the host's name, signed as botocore signs it", async () => {
        const go = await scene().claimed();
        const url = go.uploads.data?.url as string;
        expect(new URL(url).host).toBe(`${scene().bucket}.s3.${REGION}.amazonaws.com`);
        const signature = new URL(url).searchParams.get("X-Amz-Signature");
        expect(botocoreSignature("PUT", url, S3_ENV.AWS_SECRET_ACCESS_KEY)).toBe(signature);
      });

      it.each(["us-east-1", "eu-central-1", "us-gov-west-1", "cn-north-1"])(
        "addresses in %s are botocore's, with dots in the bucket's name and without",
        async (region) => {
          for (const bucket of ["sealed-objects", "sealed.example.org"]) {
            // Computed without a look at the database.
            const store = openStore(`s3://${bucket}?region=${region}`, {} as Database);
            const name = `datasets/${"a".repeat(64)}`;
            const ours = await store.url("get", name, Math.floor(Date.now() / 1000) + 600);
            expect(ours.split("?")[0]).toBe(botocoreAddress(bucket, region, name));
          }
        },
      );
    },
  ));

const suite = s3Missing() ? describe.skip : describe;
suite("moto's STS", () => {
  it("gives a session for the token of a service account, and the store takes its signature", async () => {
    const s3 = await startS3();
    const dir = mkdtempSync(join(tmpdir(), "sts-"));
    try {
      writeFileSync(join(dir, "token"), "federated");
      const env = {
        AWS_WEB_IDENTITY_TOKEN_FILE: join(dir, "token"),
        AWS_ROLE_ARN: "arn:aws:iam::123456789012:role/ledger",
        AWS_ENDPOINT_URL_STS: s3.endpoint,
      };
      const found = await s3Credentials({ region: "us-east-1", env, home: dir })();
      expect(found.accessKeyId).toMatch(/^ASIA/);
      expect(found.sessionToken).toBeTruthy();
    } finally {
      rmSync(dir, { recursive: true, force: true });
      await s3.stop();
    }
  });
});

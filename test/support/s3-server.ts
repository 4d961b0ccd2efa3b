/**
 * An S3 server of the test's own: moto from PyPI on a port of this machine, everything in memory. It takes any
 * credentials, so signatures are compared with botocore's, which comes with it.
 */
import { execFileSync, spawn } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "./free-port";
import { pythonWith } from "./python";

const environment = () => pythonWith("moto[server]==5.2.5", "moto.server");

/** @returns why there is no server to test with, or undefined. */
export function s3Missing(): string | undefined {
  const found = environment();
  return "missing" in found ? found.missing : undefined;
}

export interface S3Server {
  readonly port: number;
  /** `http://127.0.0.1:<port>`. */
  readonly endpoint: string;
  /** Makes a bucket. @returns the URL of a store in it, as a ledger takes it. */
  bucket(name: string): Promise<string>;
  /** Bytes of an object, whoever may read it. */
  object(bucket: string, key: string): Promise<Buffer>;
  /** Puts other bytes in an object's place. */
  replace(bucket: string, key: string, bytes: Uint8Array): Promise<void>;
  /** Of how many parts an object was made; 1: it came whole. */
  parts(bucket: string, key: string): Promise<number>;
  /** Keys in a bucket. */
  keys(bucket: string): Promise<string[]>;
  stop(): Promise<void>;
}

/** What moto takes as credentials: anything. */
export const S3_ENV = { AWS_ACCESS_KEY_ID: "AKIDTEST", AWS_SECRET_ACCESS_KEY: "planted-s3-secret-51c0aa" };

/** moto takes any signature, but wants to see one. */
const OPERATOR = {
  authorization:
    "AWS4-HMAC-SHA256 Credential=OPERATOR/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0",
};

export async function startS3(): Promise<S3Server> {
  const found = environment();
  if ("missing" in found) throw new Error(found.missing);
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const child = spawn(join(found.bin, "moto_server"), ["-H", "127.0.0.1", "-p", String(port)], { stdio: "ignore" });
  for (const until = Date.now() + 60_000; ; await sleep(100)) {
    if (child.exitCode !== null) throw new Error(`moto ended with code ${child.exitCode}`);
    if (await fetch(`${endpoint}/moto-api/`).catch(() => undefined)) break;
    if (Date.now() > until) throw new Error("moto does not answer");
  }
  return {
    port,
    endpoint,
    async bucket(name) {
      const made = await fetch(`${endpoint}/${name}`, { method: "PUT" });
      if (!made.ok) throw new Error(`bucket ${name}: ${made.status}`);
      return `s3://${name}/objects?region=us-east-1&endpoint=${encodeURIComponent(endpoint)}`;
    },
    async object(bucket, key) {
      const answer = await fetch(`${endpoint}/${bucket}/${key}`, { headers: OPERATOR });
      if (!answer.ok) throw new Error(`object ${key}: ${answer.status}`);
      return Buffer.from(await answer.arrayBuffer());
    },
    async replace(bucket, key, bytes) {
      const body = Buffer.from(bytes);
      const answer = await fetch(`${endpoint}/${bucket}/${key}`, { method: "PUT", headers: OPERATOR, body });
      if (!answer.ok) throw new Error(`object ${key}: ${answer.status}`);
    },
    async parts(bucket, key) {
      const answer = await fetch(`${endpoint}/${bucket}/${key}`, { method: "HEAD", headers: OPERATOR });
      return Number(/-(\d+)"$/.exec(answer.headers.get("etag") ?? "")?.[1] ?? 1);
    },
    async keys(bucket) {
      const text = await (await fetch(`${endpoint}/${bucket}?list-type=2`)).text();
      return [...text.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key = ""]) => key);
    },
    async stop() {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      if (child.exitCode !== null) return;
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** Signature that botocore gives the same request. @param url presigned, whose own signature is left out. */
export function botocoreSignature(method: string, url: string, secret: string): string {
  const script = `
import sys, datetime
from urllib.parse import urlsplit, parse_qsl
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
method, url, secret = sys.argv[1:]
u = urlsplit(url)
q = dict(parse_qsl(u.query, keep_blank_values=True))
access, _, region, service, _ = q["X-Amz-Credential"].split("/")
own = "&".join(p for p in u.query.split("&") if not p.startswith("X-Amz-"))
plain = u.scheme + "://" + u.netloc + u.path + ("?" + own if own else "")
auth = S3SigV4QueryAuth(Credentials(access, secret, q.get("X-Amz-Security-Token")), service, region, expires=int(q["X-Amz-Expires"]))
when = datetime.datetime.strptime(q["X-Amz-Date"], "%Y%m%dT%H%M%SZ")
import botocore.auth as a
class Fixed(datetime.datetime):
    @classmethod
    def utcnow(cls): return when
    @classmethod
    def now(cls, tz=None): return when
a.datetime.datetime = Fixed if hasattr(a.datetime, "datetime") else a.datetime
if hasattr(a, "get_current_datetime"): a.get_current_datetime = lambda *x, **k: when
r = AWSRequest(method=method, url=plain)
auth.add_auth(r)
print(dict(parse_qsl(urlsplit(r.url).query))["X-Amz-Signature"])
`;
  const found = environment();
  if ("missing" in found) throw new Error(found.missing);
  return execFileSync(found.python, ["-c", script, method, url, secret], { encoding: "utf8" }).trim();
}

/** Where botocore's own client sends a request for an object. */
export function botocoreAddress(bucket: string, region: string, key: string): string {
  const script = `
import sys
import botocore.session
from botocore.config import Config
bucket, region, key = sys.argv[1:]
session = botocore.session.get_session()
session.set_credentials("AKIDTEST", "secret")
# Without this it takes the old name of all regions for the first of them.
config = Config(s3={"us_east_1_regional_endpoint": "regional"})
client = session.create_client("s3", region_name=region, config=config)
class Seen(Exception): pass
def stop(request, **_): raise Seen(request.url)
client.meta.events.register("before-send.s3.GetObject", stop)
try:
    client.get_object(Bucket=bucket, Key=key)
except Seen as seen:
    print(seen)
`;
  const found = environment();
  if ("missing" in found) throw new Error(found.missing);
  return execFileSync(found.python, ["-c", script, bucket, region, key], { encoding: "utf8" }).trim();
}

/** Where a bucket is by its URL, and what a ledger says when it is elsewhere. The answers are S3's own, by its documentation. */
import type { Database } from "../../relying-party/ledger/database/open";
import { LedgerError } from "../../relying-party/ledger/errors";
import { openStore } from "../../relying-party/ledger/store/open";
import { S3Api } from "../../relying-party/ledger/store/s3/api";
import { s3Refusal } from "../../relying-party/ledger/store/s3/refusal";
import { type Answer, startIssuer } from "../support/issuers";

const NAME = `runs/${"a".repeat(64)}/${"b".repeat(64)}`;
const SECRET = "planted-secret-key-7f10bb";
const before = { ...process.env };
beforeAll(() => {
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: "AKIDTEST", AWS_SECRET_ACCESS_KEY: SECRET });
  for (const name of ["AWS_REGION", "AWS_DEFAULT_REGION"]) delete process.env[name];
});
afterAll(() => {
  process.env = before;
});
// Addresses are computed without a look at the database.
const store = (url: string) => openStore(url, {} as Database);

it.each([
  ["s3://sealed", "https://sealed.s3.us-east-1.amazonaws.com/"],
  ["s3://sealed?region=eu-central-1", "https://sealed.s3.eu-central-1.amazonaws.com/"],
  ["s3://sealed/team/a?region=us-gov-west-1", "https://sealed.s3.us-gov-west-1.amazonaws.com/team/a/"],
  ["s3://sealed?region=cn-north-1", "https://sealed.s3.cn-north-1.amazonaws.com.cn/"],
  ["s3://sealed?region=eu-west-1&style=path", "https://s3.eu-west-1.amazonaws.com/sealed/"],
  // A certificate for *.s3.eu-west-1.amazonaws.com is none for a name with dots.
  ["s3://sealed.example.org?region=eu-west-1", "https://s3.eu-west-1.amazonaws.com/sealed.example.org/"],
  ["s3://sealed?endpoint=https://minio.example.org:9000", "https://minio.example.org:9000/sealed/"],
  ["s3://sealed?endpoint=https://minio.example.org&style=virtual", "https://sealed.minio.example.org/"],
  ["s3://sealed?endpoint=https://inside.svc&public=https://out.example.org", "https://out.example.org/sealed/"],
])("%s is at %s", async (url, at) => {
  const signed = await store(url).url("put", NAME, Math.floor(Date.now() / 1000) + 600);
  expect(signed.split("?")[0]).toBe(`${at}${NAME}`);
  expect(new URL(signed).searchParams.get("X-Amz-SignedHeaders")).toContain("host");
  expect(signed).not.toContain(SECRET);
});

it.each([
  ["s3://sealed.example.org?style=virtual", /style: a bucket with dots in its name/],
  ["s3://sealed?endpoint=http://127.0.0.1:9000&style=virtual", /endpoint: an address takes no bucket before it/],
  ["s3://sealed?endpoint=https://a.example&style=virtual&public=https://[::1]", /public: an address takes no bucket/],
  ["s3://sealed?style=dns", /style: expected path or virtual/],
])("%s is refused", (url, why) => expect(() => store(url)).toThrow(why));

describe("a bucket in another region", () => {
  const body = (code: string, more = "") => `<Error><Code>${code}</Code>${more}</Error>`;

  async function refusal(method: string, answer: (location: string) => Answer): Promise<string> {
    const elsewhere = await startIssuer(() => ({}));
    const s3 = await startIssuer(() => answer(elsewhere.origin));
    const credentials = async () => ({ accessKeyId: "AKIDTEST", secretAccessKey: SECRET });
    const api = new S3Api({ bucketUrl: `${s3.origin}/sealed`, region: "us-east-1", credentials });
    const error = await api.call(method, NAME, {}).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(LedgerError);
    expect(error.code).toBe("STORE_REFUSED");
    expect(error.message).not.toContain(SECRET);
    // One request, and none where the redirect leads.
    expect([s3.asked.length, elsewhere.asked.length]).toEqual([1, 0]);
    await Promise.all([s3.stop(), elsewhere.stop()]);
    return error.message;
  }

  it.each([
    ["GET", 301, "PermanentRedirect"],
    ["HEAD", 301, undefined],
    ["HEAD", 400, undefined],
  ])("answers %s with %d: its region is told, and nobody follows", async (method, status, code) => {
    const headers = { "x-amz-bucket-region": "eu-west-1" };
    const message = await refusal(method, (location) => ({
      status,
      headers: { ...headers, location },
      ...(code === undefined ? {} : { body: body(code) }),
    }));
    expect(message).toMatch(
      /answered \d+( PermanentRedirect)?: the bucket is in region eu-west-1, the store's URL says us-east-1\. Give region=eu-west-1/,
    );
  });

  it("refuses the signature of this one: its region is told", async () => {
    const message = await refusal("GET", () => ({
      status: 400,
      body: body("AuthorizationHeaderMalformed", "<Region>ap-south-1</Region>"),
    }));
    expect(message).toMatch(/AuthorizationHeaderMalformed: the bucket is in region ap-south-1/);
  });

  it("whose answer does not say which: its own endpoint is asked for", async () => {
    const message = await refusal("GET", (location) => ({ status: 301, headers: { location } }));
    expect(message).toMatch(/the bucket is at another endpoint/);
  });

  it("a region that is none is not repeated", async () => {
    const message = await refusal("GET", () => ({ status: 400, body: body("X", "<Region>a&#10;b</Region>") }));
    expect(message).toMatch(/answered 400 X$/);
  });
});

it.each([
  [403, "RequestTimeTooSkewed", /clock/, undefined],
  [400, "ExpiredToken", /ended before their time/, undefined],
  [307, "TemporaryRedirect", /the bucket is new/, true],
  [403, "AccessDenied", undefined, undefined],
])("%d %s", async (status, code, remedy, later) => {
  const said = await s3Refusal(new Response(`<Error><Code>${code}</Code></Error>`, { status }), "GET", "us-east-1");
  expect(said).toMatchObject({ code });
  expect(said.later).toBe(later);
  if (remedy) expect(said.remedy).toMatch(remedy);
  else expect(said.remedy).toBeUndefined();
});

/** Where the ledger's credentials for object stores come from. The issuers are hand-made; moto's STS: ledger-s3.slow.test.ts. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LedgerError } from "../../relying-party/ledger/errors";
import { entraTokens } from "../../relying-party/ledger/store/azure/token";
import { s3Credentials } from "../../relying-party/ledger/store/s3/credentials";
import {
  type Answer,
  type Asked,
  authority,
  containerAgent,
  type Issuer,
  instanceMetadata,
  managedIdentities,
  securityTokens,
  startIssuer,
} from "../support/issuers";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const KEY = "AKIDOFTHETEST";
const SECRET = "planted-secret-key-19ab77";
const TOKEN = "planted-session-token-5c2e01";
const FEDERATED = "planted-federated-token-aa90d3";
/** None of these may stand in an error. */
const PLANTED = [SECRET, TOKEN, FEDERATED];

let dir: string;
let issuer: Issuer;
let clock: number;
const now = () => clock;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "store-credentials-"));
  clock = Date.parse("2026-06-01T12:00:00Z");
  issuer = await startIssuer(() => ({ status: 404 }));
});
afterEach(async () => {
  await issuer.stop();
  rmSync(dir, { recursive: true, force: true });
});

const file = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};
/** Nothing answers at port 9 of this machine. */
const NOBODY = { AWS_EC2_METADATA_SERVICE_ENDPOINT: "http://127.0.0.1:9" };
const s3 = (env: Record<string, string>, region = "eu-central-1") =>
  s3Credentials({ region, env: { ...NOBODY, ...env }, home: dir, now });
/** As STS, containers and instances write them. */
const issued = (n = 1) => ({
  AccessKeyId: `${KEY}${n}`,
  SecretAccessKey: SECRET,
  Token: TOKEN,
  Expiration: new Date(clock + HOUR).toISOString(),
});
const stsFields = (n = 1) => {
  const { Token, ...rest } = issued(n);
  return { ...rest, SessionToken: Token };
};

/** The error of a source, which holds nothing that was planted. */
async function refusal(ask: () => Promise<unknown>): Promise<{ code: string; message: string }> {
  const error = await ask().then(
    () => undefined,
    (thrown) => thrown,
  );
  if (!(error instanceof LedgerError)) throw error ?? new Error("nothing was refused");
  for (const secret of PLANTED) expect(`${error.message}${error.stack}`).not.toContain(secret);
  return error;
}

describe("keys of the environment", () => {
  it("come before all else, with a session's token when there is one", async () => {
    const env = { AWS_ACCESS_KEY_ID: KEY, AWS_SECRET_ACCESS_KEY: SECRET, AWS_CONTAINER_CREDENTIALS_FULL_URI: "x" };
    expect(await s3(env)()).toEqual({ accessKeyId: KEY, secretAccessKey: SECRET });
    expect(await s3({ ...env, AWS_SESSION_TOKEN: TOKEN })()).toMatchObject({ sessionToken: TOKEN });
  });
});

describe("a shared credentials file", () => {
  const profile = (name: string, key: string) =>
    `[${name}]\naws_access_key_id = ${key}\naws_secret_access_key = ${SECRET}\n`;

  it("gives the keys of its profile, and other ones within a minute of their change", async () => {
    const path = file("credentials", `${profile("default", "OTHER")}${profile("ledger", KEY)}`);
    const ask = s3({ AWS_SHARED_CREDENTIALS_FILE: path, AWS_PROFILE: "ledger" });
    expect(await ask()).toEqual({ accessKeyId: KEY, secretAccessKey: SECRET });
    file("credentials", profile("ledger", "ROTATED"));
    expect((await ask()).accessKeyId).toBe(KEY);
    clock += MINUTE;
    expect((await ask()).accessKeyId).toBe("ROTATED");
    // A Secret that is being remounted.
    rmSync(path);
    clock += MINUTE;
    expect((await ask()).accessKeyId).toBe("ROTATED");
  });

  it("that is named and not there, or has no such profile, is told: no other role is taken instead", async () => {
    const missing = await refusal(s3({ AWS_SHARED_CREDENTIALS_FILE: join(dir, "none") }));
    expect(missing).toMatchObject({ code: "STORE_REFUSED", message: expect.stringMatching(/none \(not there\)/) });
    const path = file("credentials", profile("other", KEY));
    const empty = await refusal(s3({ AWS_SHARED_CREDENTIALS_FILE: path }));
    expect(empty.message).toMatch(/credentials \(no aws_access_key_id and aws_secret_access_key in \[default\]\)/);
  });

  it("that is there and cannot be read is told, named or not: it may be the one that is meant", async () => {
    mkdirSync(join(dir, ".aws", "credentials"), { recursive: true });
    const error = await refusal(s3({}));
    expect(error).toMatchObject({ code: "STORE_REFUSED", message: expect.stringMatching(/credentials: EISDIR/) });
  });
});

describe("a role by web identity (EKS IRSA)", () => {
  const ROLE = "arn:aws:iam::123456789012:role/ledger";
  let n = 0;
  let token = FEDERATED;
  const irsa = () => {
    n = 0;
    token = FEDERATED;
    issuer.answer = securityTokens(
      () => token,
      ROLE,
      () => stsFields(++n),
    );
    const env = { AWS_WEB_IDENTITY_TOKEN_FILE: file("token", `${FEDERATED}\n`), AWS_ROLE_ARN: ROLE };
    return s3({ ...env, AWS_ENDPOINT_URL_STS: issuer.origin });
  };

  it("is asked for once for all who wait, and again a quarter of an hour before its end, with the renewed token", async () => {
    const ask = irsa();
    const all = await Promise.all(Array.from({ length: 10 }, ask));
    expect(new Set(all.map(({ accessKeyId }) => accessKeyId))).toEqual(new Set([`${KEY}1`]));
    expect(all[0]).toEqual({ accessKeyId: `${KEY}1`, secretAccessKey: SECRET, sessionToken: TOKEN });
    expect(issuer.asked).toHaveLength(1);
    clock += 44 * MINUTE;
    expect((await ask()).accessKeyId).toBe(`${KEY}1`);
    token = "renewed-by-the-kubelet";
    file("token", token);
    clock += MINUTE;
    expect((await ask()).accessKeyId).toBe(`${KEY}2`);
  });

  it("goes on with what it has while STS is away, up to its end and no longer", async () => {
    const ask = irsa();
    await ask();
    issuer.answer = () => ({ status: 503 });
    clock += 50 * MINUTE;
    expect((await ask()).accessKeyId).toBe(`${KEY}1`);
    expect((await ask()).accessKeyId).toBe(`${KEY}1`);
    expect(issuer.asked).toHaveLength(2); // and STS is not asked with every request
    clock += 10 * MINUTE;
    expect(await refusal(ask)).toMatchObject({ code: "BUSY", message: expect.stringMatching(/web identity.*503/) });
  });

  it.each([
    ["a role that does not trust the token", 403, "AccessDenied", "STORE_REFUSED"],
    ["a token that is over", 400, "ExpiredTokenException", "STORE_REFUSED"],
    ["an issuer of tokens that STS cannot reach", 400, "IDPCommunicationError", "BUSY"],
  ])("%s is told with STS's code", async (_what, status, said, code) => {
    const ask = irsa();
    issuer.answer = () => ({ status, body: `<ErrorResponse><Error><Code>${said}</Code></Error></ErrorResponse>` });
    const error = await refusal(ask);
    expect(error).toMatchObject({ code, message: expect.stringContaining(`${ROLE} by web identity: ${said}`) });
  });

  it("whose STS redirects sends the token nowhere else", async () => {
    const other = await startIssuer(() => ({}));
    const ask = irsa();
    issuer.answer = () => ({ status: 307, headers: { location: other.origin } });
    await refusal(ask);
    expect(other.asked).toEqual([]);
    await other.stop();
  });

  it("whose token file is missing or whose STS is away names the variable and the host", async () => {
    const env = { AWS_ROLE_ARN: ROLE, AWS_ENDPOINT_URL_STS: "http://127.0.0.1:9" };
    const gone = await refusal(s3({ ...env, AWS_WEB_IDENTITY_TOKEN_FILE: join(dir, "gone") }));
    expect(gone.message).toMatch(/AWS_WEB_IDENTITY_TOKEN_FILE names .*gone: ENOENT/);
    const away = await refusal(s3({ ...env, AWS_WEB_IDENTITY_TOKEN_FILE: file("token", FEDERATED) }));
    expect(away).toMatchObject({ code: "BUSY", message: expect.stringMatching(/127\.0\.0\.1:9 cannot be reached/) });
  });
});

describe("a role of the container (EKS Pod Identity)", () => {
  const at = (more: Record<string, string> = {}) => ({
    AWS_CONTAINER_CREDENTIALS_FULL_URI: `${issuer.origin}/v1/credentials`,
    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file("token", FEDERATED),
    ...more,
  });

  it("is given for the pod's token, read anew each time", async () => {
    let right = FEDERATED;
    issuer.answer = (asked: Asked): Answer => containerAgent(right, issued)(asked);
    const ask = s3(at());
    expect(await ask()).toEqual({ accessKeyId: `${KEY}1`, secretAccessKey: SECRET, sessionToken: TOKEN });
    right = "renewed";
    file("token", right);
    clock += 46 * MINUTE;
    await ask();
    expect(issuer.asked.map(({ headers }) => headers.authorization)).toEqual([FEDERATED, "renewed"]);
  });

  it("with another's token is refused with the agent's code", async () => {
    issuer.answer = containerAgent("another", issued);
    expect((await refusal(s3(at()))).message).toMatch(/credentials of the container: AccessDenied \(401\)/);
  });

  it.each(["http://169.254.169.254.example.org/v1/credentials", "http://10.0.0.7/v1/credentials", "ftp://127.0.0.1/"])(
    "at %s gets no token: in clear it goes to this host only",
    async (address) => {
      const error = await refusal(s3(at({ AWS_CONTAINER_CREDENTIALS_FULL_URI: address })));
      expect(error).toMatchObject({ code: "STORE_REFUSED", message: expect.stringContaining("expected an https URL") });
    },
  );
});

describe("a role of the instance", () => {
  const at = () => s3({ AWS_EC2_METADATA_SERVICE_ENDPOINT: issuer.origin });

  it("is given by metadata of version 2", async () => {
    issuer.answer = instanceMetadata("ledger", () => ({ ...issued(), Code: "Success" }));
    expect(await at()()).toEqual({ accessKeyId: `${KEY}1`, secretAccessKey: SECRET, sessionToken: TOKEN });
  });

  it("is not asked of version 1", async () => {
    const v1 = ({ url }: Asked): Answer =>
      url.endsWith("token") ? { status: 404 } : { body: url.endsWith("/") ? "ledger" : issued() };
    issuer.answer = v1;
    expect((await refusal(at())).message).toMatch(/role of the instance \(http:\S+ answers 404\)/);
    expect(issuer.asked).toHaveLength(1);
  });

  it("that the instance cannot assume is told with the service's code", async () => {
    issuer.answer = instanceMetadata("ledger", () => ({ Code: "AssumeRoleUnauthorizedAccess" }));
    expect((await refusal(at())).message).toMatch(/role of the instance ledger.*AssumeRoleUnauthorizedAccess/);
  });

  it("is not asked for when metadata is switched off", async () => {
    const ask = s3({ AWS_EC2_METADATA_SERVICE_ENDPOINT: issuer.origin, AWS_EC2_METADATA_DISABLED: "true" });
    await refusal(ask);
    expect(issuer.asked).toEqual([]);
  });
});

it("no credentials anywhere: every place that was looked at is named", async () => {
  const { code, message } = await refusal(s3({}));
  expect(code).toBe("STORE_REFUSED");
  for (const place of [
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    join(dir, ".aws/credentials"),
    "role of the instance (http://127.0.0.1:9 does not answer)",
  ]) {
    expect(message).toContain(place);
  }
});

describe("a token of Microsoft Entra", () => {
  const TENANT = "66666666-7777-4888-9999-aaaaaaaaaaaa";
  const CLIENT = "11111111-2222-4333-8444-555555555555";
  let n = 0;
  const token = () => ({ access_token: `${TOKEN}-${++n}`, expires_in: "3600", token_type: "Bearer" });
  const workload = (more: Record<string, string> = {}) => ({
    AZURE_CLIENT_ID: CLIENT,
    AZURE_TENANT_ID: TENANT,
    AZURE_FEDERATED_TOKEN_FILE: file("token", FEDERATED),
    AZURE_AUTHORITY_HOST: `${issuer.origin}/`,
    ...more,
  });
  beforeEach(() => {
    n = 0;
  });

  it("by workload identity is renewed five minutes before its end, with the renewed federated token", async () => {
    let right = FEDERATED;
    issuer.answer = authority(TENANT, CLIENT, () => right, token);
    const ask = entraTokens(workload(), now);
    expect(await Promise.all([ask(), ask()])).toEqual([`${TOKEN}-1`, `${TOKEN}-1`]);
    clock += 54 * MINUTE;
    expect(await ask()).toBe(`${TOKEN}-1`);
    right = "renewed";
    file("token", right);
    clock += MINUTE;
    expect(await ask()).toBe(`${TOKEN}-2`);
  });

  it("goes on while the authority is away, up to its end", async () => {
    issuer.answer = authority(TENANT, CLIENT, () => FEDERATED, token);
    const ask = entraTokens(workload(), now);
    await ask();
    issuer.answer = () => ({ status: 500 });
    clock += 58 * MINUTE;
    expect(await ask()).toBe(`${TOKEN}-1`);
    clock += 3 * MINUTE;
    expect((await refusal(ask)).code).toBe("BUSY");
  });

  it("for a credential that is not federated is refused with Microsoft's code", async () => {
    issuer.answer = authority(TENANT, "another", () => FEDERATED, token);
    const error = await refusal(entraTokens(workload(), now));
    expect(error).toMatchObject({ code: "STORE_REFUSED", message: expect.stringMatching(/invalid_client \(401\)/) });
  });

  it("is asked of no authority without TLS", async () => {
    const error = await refusal(entraTokens(workload({ AZURE_AUTHORITY_HOST: "http://login.example.org/" }), now));
    expect(error.message).toMatch(/AZURE_AUTHORITY_HOST: expected an https URL/);
  });

  it("by the VM's managed identity, chosen by its client id where there are several", async () => {
    issuer.answer = managedIdentities([CLIENT, "another"], token);
    const env = { AZURE_POD_IDENTITY_AUTHORITY_HOST: issuer.origin };
    expect(await entraTokens({ ...env, AZURE_CLIENT_ID: CLIENT }, now)()).toBe(`${TOKEN}-1`);
    const error = await refusal(entraTokens(env, now));
    expect(error.message).toMatch(/managed identity: no token: invalid_request \(400\)/);
  });

  it.each([404, 410, 429, 500])("of metadata that answers %d is a matter of time", async (status) => {
    issuer.answer = () => ({ status });
    const error = await refusal(entraTokens({ AZURE_POD_IDENTITY_AUTHORITY_HOST: issuer.origin }, now));
    expect(error.code).toBe("BUSY");
  });

  it("nowhere: both ways are named", async () => {
    const error = await refusal(entraTokens({ AZURE_POD_IDENTITY_AUTHORITY_HOST: "http://127.0.0.1:9" }, now));
    expect(error.message).toMatch(
      /AZURE_FEDERATED_TOKEN_FILE \(not all set\); managed identity \(.* does not answer\)/,
    );
  });
});

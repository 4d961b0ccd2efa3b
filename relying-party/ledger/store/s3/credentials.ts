/**
 * Credentials of an S3 store, in the order of Amazon's own tools: environment, web identity (EKS IRSA), container (EKS Pod
 * Identity, ECS), shared credentials file, instance role (IMDSv2). They stay in this process; guests get signed URLs.
 * Sources: "Standardized credential providers" of the AWS SDKs reference; STS AssumeRoleWithWebIdentity; EC2 IMDSv2.
 */
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { LedgerError } from "../../errors";
import { noCredentials } from "../call";
import { xmlText } from "../xml";

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** Milliseconds since 1970; undefined: they do not end by themselves. */
  readonly expiresAt?: number;
}

/** Renewed this long before they end, milliseconds: URLs signed with them end with them. */
const MARGIN_MS = 15 * 60 * 1000;
const CALL_MS = 5000;
const METADATA = "http://169.254.169.254";
const CONTAINER_HOST = "http://169.254.170.2";

type Env = Readonly<Record<string, string | undefined>>;

/** Gives credentials that still hold for a while. @throws LedgerError naming every place that was looked at. */
export function s3Credentials(region: string, env: Env = process.env, home = homedir()): () => Promise<S3Credentials> {
  let held: Promise<S3Credentials> | undefined;
  let until = 0;
  return async () => {
    if (held && Date.now() < until) return held;
    const asked = find(region, env, home);
    held = asked;
    until = Number.POSITIVE_INFINITY;
    try {
      const found = await asked;
      // Short-lived ones are asked for again at half of their time at the latest.
      const left = (found.expiresAt ?? Number.POSITIVE_INFINITY) - Date.now();
      until = Date.now() + Math.max(left - MARGIN_MS, left / 2);
      return found;
    } catch (error) {
      held = undefined;
      throw error;
    }
  };
}

async function find(region: string, env: Env, home: string): Promise<S3Credentials> {
  const found =
    fromEnvironment(env) ??
    (await fromWebIdentity(region, env)) ??
    (await fromContainer(env)) ??
    fromFile(env, home) ??
    (await fromInstance(env));
  if (found) return found;
  throw new LedgerError(
    "STORE_REFUSED",
    "object store: no credentials. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_WEB_IDENTITY_TOKEN_FILE and " +
      "AWS_ROLE_ARN, AWS_SHARED_CREDENTIALS_FILE, or run with a container or instance role",
  );
}

function fromEnvironment(env: Env): S3Credentials | undefined {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_SESSION_TOKEN: token } = env;
  if (!accessKeyId || !secretAccessKey) return undefined;
  return { accessKeyId, secretAccessKey, ...(token ? { sessionToken: token } : {}) };
}

async function fromWebIdentity(region: string, env: Env): Promise<S3Credentials | undefined> {
  const { AWS_WEB_IDENTITY_TOKEN_FILE: file, AWS_ROLE_ARN: role } = env;
  if (!file || !role) return undefined;
  const url = env.AWS_ENDPOINT_URL_STS ?? `https://sts.${region}.amazonaws.com`;
  const body = new URLSearchParams({
    Action: "AssumeRoleWithWebIdentity",
    Version: "2011-06-15",
    RoleArn: role,
    RoleSessionName: env.AWS_ROLE_SESSION_NAME ?? "sealflow-ledger",
    WebIdentityToken: readFileSync(file, "utf8").trim(),
  });
  const answer = await fetch(url, { method: "POST", body, signal: AbortSignal.timeout(CALL_MS) });
  const text = await answer.text();
  if (!answer.ok) throw noCredentials(answer.status, `${role} by web identity: ${xmlText(text, "Code") ?? ""}`);
  return complete("web identity", {
    AccessKeyId: xmlText(text, "AccessKeyId"),
    SecretAccessKey: xmlText(text, "SecretAccessKey"),
    Token: xmlText(text, "SessionToken"),
    Expiration: xmlText(text, "Expiration"),
  });
}

async function fromContainer(env: Env): Promise<S3Credentials | undefined> {
  const full = env.AWS_CONTAINER_CREDENTIALS_FULL_URI;
  const relative = env.AWS_CONTAINER_CREDENTIALS_RELATIVE_URI;
  if (!full && !relative) return undefined;
  const file = env.AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE;
  const token = file ? readFileSync(file, "utf8").trim() : env.AWS_CONTAINER_AUTHORIZATION_TOKEN;
  const answer = await fetch(full || `${CONTAINER_HOST}${relative}`, {
    headers: token ? { authorization: token } : {},
    signal: AbortSignal.timeout(CALL_MS),
  });
  if (!answer.ok) throw noCredentials(answer.status, "credentials of the container");
  return complete("container", (await answer.json()) as Answered);
}

function fromFile(env: Env, home: string): S3Credentials | undefined {
  const file = env.AWS_SHARED_CREDENTIALS_FILE ?? join(home, ".aws", "credentials");
  if (!existsSync(file)) return undefined;
  const profile = env.AWS_PROFILE ?? "default";
  const values: Record<string, string> = Object.create(null);
  let inside = false;
  for (const line of readFileSync(file, "utf8").split("\n")) {
    const section = /^\s*\[([^\]]+)\]/.exec(line)?.[1]?.trim();
    if (section !== undefined) inside = section === profile;
    const [, key, value] = /^\s*([a-z_]+)\s*=\s*(\S+)\s*$/.exec(line) ?? [];
    if (inside && key && value) values[key] = value;
  }
  const { aws_access_key_id: accessKeyId, aws_secret_access_key: secretAccessKey, aws_session_token: token } = values;
  if (!accessKeyId || !secretAccessKey) return undefined;
  return { accessKeyId, secretAccessKey, ...(token ? { sessionToken: token } : {}) };
}

async function fromInstance(env: Env): Promise<S3Credentials | undefined> {
  if (env.AWS_EC2_METADATA_DISABLED === "true") return undefined;
  const base = env.AWS_EC2_METADATA_SERVICE_ENDPOINT ?? METADATA;
  const call = (path: string, init: RequestInit) =>
    fetch(`${base}/latest/${path}`, { ...init, signal: AbortSignal.timeout(2000) });
  try {
    const asked = { method: "PUT", headers: { "x-aws-ec2-metadata-token-ttl-seconds": "300" } };
    const headers = { "x-aws-ec2-metadata-token": await (await call("api/token", asked)).text() };
    const roles = await call("meta-data/iam/security-credentials/", { headers });
    const role = roles.ok ? (await roles.text()).split("\n")[0]?.trim() : undefined;
    if (!role) return undefined;
    const answer = await call(`meta-data/iam/security-credentials/${role}`, { headers });
    return answer.ok ? complete("instance role", (await answer.json()) as Answered) : undefined;
  } catch {
    // Not on such an instance.
    return undefined;
  }
}

interface Answered {
  readonly AccessKeyId?: string | undefined;
  readonly SecretAccessKey?: string | undefined;
  readonly Token?: string | undefined;
  readonly Expiration?: string | undefined;
}

function complete(from: string, { AccessKeyId, SecretAccessKey, Token, Expiration }: Answered): S3Credentials {
  const expiresAt = Date.parse(Expiration ?? "");
  if (!AccessKeyId || !SecretAccessKey) throw noCredentials(200, `${from}: no credentials in the answer`);
  return {
    accessKeyId: AccessKeyId,
    secretAccessKey: SecretAccessKey,
    ...(Token ? { sessionToken: Token } : {}),
    ...(Number.isFinite(expiresAt) ? { expiresAt } : {}),
  };
}

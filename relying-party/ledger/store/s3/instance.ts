/**
 * The instance's role, by the session-bound metadata service (IMDSv2). Version 1, which anything on the machine may ask
 * without a token, is not used.
 * Source: "Use the Instance Metadata Service", Amazon EC2 user guide.
 */
import { textOf } from "../answer";
import { askIssuer, jsonOf, type Looked, refused } from "../issuer";
import { type Env, issued, type S3Credentials } from "./issued";

const METADATA = "http://169.254.169.254";
/** Not on an instance nobody answers; a hop limit of 1 keeps containers away. Milliseconds. */
const CALL_MS = 2000;
const ROLES = "meta-data/iam/security-credentials/";
const WHAT = "role of the instance";

export async function fromInstance(env: Env): Promise<Looked<S3Credentials>> {
  if (env.AWS_EC2_METADATA_DISABLED === "true") return { nothing: `${WHAT} (AWS_EC2_METADATA_DISABLED)` };
  const base = env.AWS_EC2_METADATA_SERVICE_ENDPOINT ?? METADATA;
  const call = (path: string, init: RequestInit) =>
    askIssuer(WHAT, `${base}/latest/${path}`, { ...init, timeoutMs: CALL_MS });
  const asked = { method: "PUT", headers: { "x-aws-ec2-metadata-token-ttl-seconds": "300" } };
  const session = await call("api/token", asked).catch(() => undefined);
  if (!session?.ok)
    return { nothing: `${WHAT} (${base} ${session ? `answers ${session.status}` : "does not answer"})` };
  const headers = { "x-aws-ec2-metadata-token": await textOf(session) };
  const roles = await call(ROLES, { headers });
  const role = roles.ok ? (await textOf(roles)).split("\n")[0]?.trim() : undefined;
  if (roles.status >= 500) throw refused(roles.status, WHAT);
  if (!role) return { nothing: `${WHAT} (the instance has none)` };
  const answer = await call(`${ROLES}${encodeURIComponent(role)}`, { headers });
  if (!answer.ok) throw refused(answer.status, `${WHAT} ${role}`);
  return issued(`${WHAT} ${role}`, await jsonOf(answer));
}

/**
 * A role by the token of the pod's service account (EKS IRSA): STS AssumeRoleWithWebIdentity, which is not signed.
 * Source: AWS Security Token Service API reference; AWS_ENDPOINT_URL_STS as in the SDKs.
 */
import { textOf } from "../answer";
import { askIssuer, issuedFile, type Looked, refused, wordOf } from "../issuer";
import { xmlText } from "../xml";
import { type Env, issued, type S3Credentials } from "./issued";
import { serviceHost } from "./regions";

/** Errors of status 400 that pass by themselves. */
const PASSING = new Set(["IDPCommunicationError", "Throttling", "ThrottlingException", "RequestLimitExceeded"]);

export async function fromWebIdentity(region: string, env: Env): Promise<Looked<S3Credentials>> {
  const { AWS_WEB_IDENTITY_TOKEN_FILE: file, AWS_ROLE_ARN: role } = env;
  if (!file || !role) return { nothing: "AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN (not both set)" };
  const what = `${role} by web identity`;
  const token = issuedFile(what, "AWS_WEB_IDENTITY_TOKEN_FILE", file);
  // A cluster without a way out has an endpoint of STS in its own region.
  const own = env.AWS_REGION ?? env.AWS_DEFAULT_REGION ?? region;
  const url = env.AWS_ENDPOINT_URL_STS ?? `https://${serviceHost("sts", own)}`;
  const body = new URLSearchParams({
    Action: "AssumeRoleWithWebIdentity",
    Version: "2011-06-15",
    RoleArn: role,
    RoleSessionName: env.AWS_ROLE_SESSION_NAME ?? "sealflow-ledger",
    WebIdentityToken: token,
  });
  const answer = await askIssuer(what, url, { method: "POST", body });
  const text = await textOf(answer);
  if (!answer.ok) {
    const code = wordOf(xmlText(text, "Code"));
    throw refused(answer.status, `${what}: ${code}`, PASSING.has(code) || answer.status >= 500);
  }
  return issued(what, {
    AccessKeyId: xmlText(text, "AccessKeyId"),
    SecretAccessKey: xmlText(text, "SecretAccessKey"),
    Token: xmlText(text, "SessionToken"),
    Expiration: xmlText(text, "Expiration"),
  });
}

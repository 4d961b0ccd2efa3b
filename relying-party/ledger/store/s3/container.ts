/**
 * The container's role: EKS Pod Identity and ECS serve it on an address of the host's own.
 * Source: "Container credential provider" of the AWS SDKs and Tools reference, its rule for addresses without TLS too.
 */
import { LedgerError } from "../../errors";
import { askIssuer, issuedFile, jsonOf, type Looked, refused, wordOf } from "../issuer";
import { type Env, issued, type S3Credentials } from "./issued";

const ECS = "http://169.254.170.2";
/** Served by the host itself: ECS, and the agent of EKS Pod Identity over IPv4 and IPv6. */
const HOSTS_OWN = new Set(["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"]);
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;
const WHAT = "credentials of the container";

export async function fromContainer(env: Env): Promise<Looked<S3Credentials>> {
  const { AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: relative, AWS_CONTAINER_CREDENTIALS_FULL_URI: full } = env;
  if (!full && !relative) {
    return { nothing: "AWS_CONTAINER_CREDENTIALS_FULL_URI and AWS_CONTAINER_CREDENTIALS_RELATIVE_URI (neither set)" };
  }
  const url = relative ? `${ECS}/${relative.replace(/^\/+/, "")}` : checkedAddress(full as string);
  const file = env.AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE;
  const token = file
    ? issuedFile(WHAT, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file)
    : env.AWS_CONTAINER_AUTHORIZATION_TOKEN;
  const answer = await askIssuer(WHAT, url, { headers: token ? { authorization: token } : {} });
  const said = await jsonOf(answer);
  if (!answer.ok) throw refused(answer.status, `${WHAT}: ${wordOf(said.code ?? said.Code)}`);
  return issued(WHAT, said);
}

/** The token opens a role: in clear it goes to this host only. */
function checkedAddress(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const near = url !== undefined && (HOSTS_OWN.has(url.hostname) || LOOPBACK.test(url.hostname));
  if (url?.protocol === "https:" || (url?.protocol === "http:" && near)) return url.href;
  throw new LedgerError(
    "STORE_REFUSED",
    "object store: AWS_CONTAINER_CREDENTIALS_FULL_URI: expected an https URL, or http to this host's own addresses",
  );
}

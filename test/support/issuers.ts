/**
 * Whoever gives out credentials in clouds, hand-made from their documentation: Amazon's instance metadata (version 2), the
 * agent of containers, STS and Microsoft's authority and instance metadata. They check what a real one checks and no more.
 */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

export interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text as it is, anything else as JSON. */
  readonly body?: unknown;
}

export interface Issuer {
  readonly origin: string;
  /** What was asked, oldest first. */
  readonly asked: Asked[];
  /** Changed by tests between requests. */
  answer: (asked: Asked) => Answer;
  stop(): Promise<void>;
}

export async function startIssuer(answer: (asked: Asked) => Answer): Promise<Issuer> {
  const server = createServer((incoming, outgoing) => {
    let body = "";
    incoming.setEncoding("utf8").on("data", (text: string) => {
      body += text;
    });
    incoming.on("end", () => {
      const { method = "", url = "", headers } = incoming;
      const one = { method, url, headers, body };
      issuer.asked.push(one);
      const { status = 200, headers: more = {}, body: said = "" } = issuer.answer(one);
      outgoing.writeHead(status, more).end(typeof said === "string" ? said : JSON.stringify(said));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer: Issuer = {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: [],
    answer,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return issuer;
}

const NOT_FOUND: Answer = { status: 404 };

/** Version 2: every question needs a token that a PUT gave. */
export function instanceMetadata(role: string, credentials: () => unknown): (asked: Asked) => Answer {
  const token = "session-token-of-imds";
  return ({ method, url, headers }) => {
    if (url === "/latest/api/token") {
      if (method !== "PUT" || !headers["x-aws-ec2-metadata-token-ttl-seconds"]) return { status: 400 };
      // A proxy in between would add this header; then none is given.
      return headers["x-forwarded-for"] ? { status: 403 } : { body: token };
    }
    if (headers["x-aws-ec2-metadata-token"] !== token) return { status: 401 };
    if (url === "/latest/meta-data/iam/security-credentials/") return { body: role };
    return url === `/latest/meta-data/iam/security-credentials/${role}` ? { body: credentials() } : NOT_FOUND;
  };
}

/** The agent of EKS Pod Identity. */
export const containerAgent =
  (token: string, credentials: () => unknown): ((asked: Asked) => Answer) =>
  ({ url, headers }) => {
    if (url !== "/v1/credentials") return NOT_FOUND;
    if (headers.authorization !== token) return { status: 401, body: { code: "AccessDenied" } };
    return { body: credentials() };
  };

/** AssumeRoleWithWebIdentity for the one token. */
export const securityTokens =
  (token: () => string, role: string, fields: () => Readonly<Record<string, string>>): ((asked: Asked) => Answer) =>
  ({ method, body }) => {
    const asked = new URLSearchParams(body);
    const refused = (status: number, code: string): Answer => ({
      status,
      body: `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>no</Message></Error></ErrorResponse>`,
    });
    if (method !== "POST" || asked.get("Version") !== "2011-06-15") return refused(400, "InvalidAction");
    if (asked.get("RoleArn") !== role) return refused(403, "AccessDenied");
    if (asked.get("WebIdentityToken") !== token()) return refused(400, "InvalidIdentityToken");
    const inside = Object.entries(fields()).map(([name, value]) => `<${name}>${value}</${name}>`);
    const result = `<AssumeRoleWithWebIdentityResult><Credentials>${inside.join("")}</Credentials></AssumeRoleWithWebIdentityResult>`;
    return {
      body: `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">${result}</AssumeRoleWithWebIdentityResponse>`,
    };
  };

/** Microsoft's authority: a token for the one federated credential. */
export const authority =
  (tenant: string, client: string, assertion: () => string, issued: () => unknown): ((asked: Asked) => Answer) =>
  ({ method, url, body }) => {
    const asked = new URLSearchParams(body);
    const fits =
      method === "POST" &&
      url === `/${tenant}/oauth2/v2.0/token` &&
      asked.get("grant_type") === "client_credentials" &&
      asked.get("client_assertion_type") === "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" &&
      asked.get("scope") === "https://storage.azure.com/.default" &&
      asked.get("client_id") === client &&
      asked.get("client_assertion") === assertion();
    return fits ? { body: issued() } : { status: 401, body: { error: "invalid_client", error_description: "no" } };
  };

/** Metadata of a VM of Azure with these identities; with several, one must be chosen. */
export const managedIdentities =
  (clients: readonly string[], issued: () => unknown): ((asked: Asked) => Answer) =>
  ({ url, headers }) => {
    const { pathname, searchParams } = new URL(url, "http://metadata");
    if (headers.metadata !== "true" || headers["x-forwarded-for"])
      return { status: 400, body: { error: "bad_request" } };
    if (pathname !== "/metadata/identity/oauth2/token") return NOT_FOUND;
    const asked = searchParams.get("client_id");
    const fits = asked === null ? clients.length === 1 : clients.includes(asked);
    const right = searchParams.get("resource") === "https://storage.azure.com/" && searchParams.has("api-version");
    return fits && right ? { body: issued() } : { status: 400, body: { error: "invalid_request" } };
  };

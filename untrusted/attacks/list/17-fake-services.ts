import { webcrypto } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:tls";
import * as x509 from "@peculiar/x509";
import { routeTo } from "../support/world";
import type { Attack, World } from "../types";

/** The network leads a service's port to a server with a certificate of the attacker's own. */
async function fake(world: World, url: string): Promise<string> {
  const stop = new AbortController();
  let spoken = 0;
  let refused = 0;
  const server = createServer(await selfSigned());
  server.on("secureConnection", (socket) => {
    spoken += 1;
    socket.on("data", (bytes: Buffer) => world.sees(bytes));
    socket.on("error", () => undefined);
  });
  server.on("tlsClientError", () => {
    refused += 1;
    stop.abort();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const target = Number(new URL(url).port);
  const honest = routeTo(world);
  const run = await world.ready();
  const end = await world.guest(world.job(world.target.consumer), {
    run,
    signal: stop.signal,
    route: (asked) => (asked === target ? port : honest(asked)),
  });
  server.close();
  return refused > 0 && spoken === 0 ? "CERTIFICATE" : end.code;
}

export const fakeServices: Attack = {
  number: 17,
  title: "the network leads to a fake key broker or ledger",
  power: "network",
  expected: ["CERTIFICATE"],
  mount: async (world) => [
    { tried: "the key broker's port", ended: await fake(world, world.connection.kbsUrl) },
    { tried: "the ledger's port", ended: await fake(world, world.connection.ledgerUrl) },
  ],
};

/** For 127.0.0.1, by a CA that nobody pinned. */
async function selfSigned(): Promise<{ key: string; cert: string }> {
  x509.cryptoProvider.set(webcrypto as never);
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    name: "CN=127.0.0.1",
    keys: keys as never,
    signingAlgorithm: algorithm,
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: "ip", value: "127.0.0.1" }])],
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  return { cert: cert.toString("pem"), key: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n` };
}

/** What a renewal keeps, who trusts what is made, and what inputs are refused. */
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:tls";
import { tlsCertificate } from "../../provider/resources/tls-certificate";
import type { Context } from "../../provider/server/context";

const DAY = 24 * 3600 * 1000;
const START = Date.parse("2026-11-28T12:00:00Z");
const at = (days: number): Context => ({
  root: "/",
  home: "/",
  env: {},
  log: { status() {}, info() {}, warn() {} },
  signal: new AbortController().signal,
  now: () => new Date(START + days * DAY),
});
const INPUTS = { commonName: "kbs", hosts: ["localhost", "127.0.0.1", "kbs.trustee.svc"] };
type Inputs = typeof INPUTS & { notAfter?: string; validDays?: number };

const checked = async (days: number, olds?: Inputs, news: Inputs = INPUTS) =>
  ((await tlsCertificate.check?.(at(days), news, olds, new Set())) ?? {}) as { computed?: { notAfter: string } };
const made = async (days = 0) => {
  const inputs = { ...INPUTS, ...(await checked(days)).computed };
  return { inputs, ...(await tlsCertificate.create(at(days), inputs)) };
};

/** undefined: accepted. */
async function handshake(serverSide: { chainPem: string; keyPem: string }, ca: string): Promise<string | undefined> {
  const server = createServer({ cert: serverSide.chainPem, key: serverSide.keyPem }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = connect({
    port: (server.address() as AddressInfo).port,
    host: "127.0.0.1",
    ca,
    servername: "localhost",
  });
  socket.on("error", () => undefined);
  const refused = await Promise.race([
    once(socket, "secureConnect").then(() => undefined),
    new Promise<string>((resolve) =>
      socket.once("error", (error) => resolve(String((error as { code?: string }).code))),
    ),
  ]);
  socket.destroy();
  server.close();
  return refused;
}

describe("TlsCertificate", () => {
  it("guests that pin the CA accept the leaf before and after renewal, and no other CA's", async () => {
    const first = await made();
    const again = await checked(70, first.inputs);
    expect(again.computed?.notAfter).not.toBe(first.inputs.notAfter);
    const renewed = await tlsCertificate.update?.(at(70), first, { ...INPUTS, ...again.computed });
    if (!renewed) throw new Error("no update");
    expect(renewed.caPem).toBe(first.outputs.caPem);
    expect(renewed.keyPem).not.toBe(first.outputs.keyPem);
    expect(new X509Certificate(renewed.certPem).verify(new X509Certificate(first.outputs.caPem).publicKey)).toBe(true);
    expect(await handshake(first.outputs, first.outputs.caPem)).toBeUndefined();
    expect(await handshake(first.outputs, (await made()).outputs.caPem)).toMatch(/SIGNATURE|VERIFY|ISSUER|SELF_SIGNED/);
  });

  it("stays as it is until its end is near: the same preview today and tomorrow", async () => {
    const { inputs } = await made();
    expect((await checked(59, inputs)).computed?.notAfter).toBe(inputs.notAfter);
    expect((await checked(62, inputs)).computed?.notAfter).not.toBe(inputs.notAfter);
  });

  it("a leaf cannot sign another certificate, and the CA no other CA", async () => {
    const { outputs } = await made();
    expect(new X509Certificate(outputs.certPem).ca).toBe(false);
    expect(new X509Certificate(outputs.certPem).checkHost("kbs.trustee.svc")).toBe("kbs.trustee.svc");
    expect(new X509Certificate(outputs.certPem).checkHost("other.trustee.svc")).toBeUndefined();
  });

  it("private keys are secret in the state", () => {
    expect(tlsCertificate.outputs.keyPem.secret).toBe(true);
    expect(tlsCertificate.outputs.caKeyPem.secret).toBe(true);
  });

  it("a CA that ends before the next leaf says what its replacement costs", async () => {
    const first = await made();
    const late = { ...INPUTS, ...(await checked(3640, first.inputs)).computed };
    await expect(tlsCertificate.update?.(at(3640), first, late)).rejects.toThrow(/every step gets a new identity/);
  });

  it.each([
    ["a host with a scheme", { ...INPUTS, hosts: ["https://kbs"] }, /neither a DNS name/],
    ["a leaf for ten years", { ...INPUTS, validDays: 3650 }, /from 2 to 825/],
    ["a name with a line break", { ...INPUTS, commonName: "a\nb" }, /is not 1 to 48/],
  ])("%s is refused at preview", async (_title, inputs, message) => {
    const { failures } = (await checked(0, undefined, inputs as Inputs)) as { failures?: { reason: string }[] };
    expect(failures?.map(({ reason }) => reason).join()).toMatch(message);
  });
});

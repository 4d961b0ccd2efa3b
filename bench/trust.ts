/** Sizes of what a step is measured with, and the time to make it for a large pipeline. */
import { createHash } from "node:crypto";
import { attestationPolicy, INITDATA_BUDGETS, parseInitdata, resourcePolicy, stepGuest } from "../policy";
import { type BenchOptions, type Figure, figure } from "./figure";

/** Upstream's genpolicy rules 4.1 with its default settings, compressed and in base64, as the step's would be. */
const UPSTREAM_BASE64 = 17_500;
/** The same text before compression. */
const UPSTREAM_TEXT = 57_600;
const BUDGET = 6 * 1024;
const STEPS = 100;
/** Size of an X.509 root with a P-256 key, and of a chain of two with RSA-4096 keys; bytes of DER. */
const SMALL_CA = 450;
const LARGE_CA = 2 * 1400;

/** Certificates do not compress, so bytes that do not stand for one. Deterministic. */
function pem(size: number): string {
  const bytes = Buffer.concat(
    Array.from({ length: Math.ceil(size / 32) }, (_, i) => createHash("sha256").update(`ca ${i}`).digest()),
  ).subarray(0, size);
  const lines = bytes.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

const digest = (text: string): string => createHash("sha256").update(text).digest("hex");
const guestOf = (step: string, caPem: string) =>
  stepGuest({
    tee: "snp",
    kbsUrl: "https://trustee.confidential.svc.cluster.local:8080",
    caPem,
    imageReference: `registry.example.com/team/pipelines/${step}@sha256:${digest(step)}`,
    resource: `sf-0123456789abcdef/step/${digest(`program ${step}`)}`,
  });

export async function run({ say }: BenchOptions): Promise<Figure[]> {
  const small = guestOf("train", pem(SMALL_CA));
  const large = guestOf("train", pem(LARGE_CA));
  const policy = parseInitdata(small.initdata).data["policy.rego"] as string;
  say(`generating policy and initdata of ${STEPS} steps`);
  const ca = pem(SMALL_CA);
  guestOf("warm-up", ca);
  // One thread computes and waits for nothing: its CPU time is what the clock of an idle machine would show.
  const before = process.cpuUsage();
  for (let i = 0; i < STEPS; i++) guestOf(`step-${i}`, ca);
  const { user, system } = process.cpuUsage(before);
  const milliseconds = (user + system) / 1000;
  const size = (name: string, value: number, more: { against?: number; atMost?: number } = {}) =>
    figure({ name, value, unit: "B", ...more });
  return [
    size("agent policy of a step, beside upstream's generated policy", Buffer.byteLength(policy), {
      against: UPSTREAM_TEXT,
    }),
    size("initdata of a step, gzip+base64, beside upstream's policy so", small.annotation.length, {
      against: UPSTREAM_BASE64,
      atMost: BUDGET,
    }),
    size("initdata of a step, beside EC2 user data", small.annotation.length, {
      against: 16_384,
      atMost: INITDATA_BUDGETS.ec2.limit,
    }),
    size("initdata with two RSA-4096 certificates, beside EC2 user data", large.annotation.length, {
      against: 16_384,
      atMost: INITDATA_BUDGETS.ec2.limit,
    }),
    size("production attestation policy", Buffer.byteLength(attestationPolicy("production").text)),
    size("resource policy", Buffer.byteLength(resourcePolicy().text)),
    figure({
      name: `policy and initdata of ${STEPS} steps, CPU time`,
      value: milliseconds,
      unit: "ms",
      against: 1000,
      atMost: 1000,
    }),
  ];
}

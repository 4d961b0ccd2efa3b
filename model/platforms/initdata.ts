/** How initdata is bound to a guest, and how much of it each way there takes. */
import type { Tee } from "../../protocol/rcar";

export type InitdataHash = "sha256" | "sha384";

/** Cloud API Adaptor's own part of user data: its configuration, TLS material and registry credentials. Bytes. */
const ADAPTOR_PART = 4096;

export interface InitdataCarrier {
  /** Where initdata travels, for people. */
  readonly carrier: string;
  /** Longest annotation (gzip, base64), characters. */
  readonly limit: number;
}

export const INITDATA_CARRIERS = {
  /** Kubernetes takes 256 KiB for all annotations of an object; a quarter is ours. */
  kubernetes: { carrier: "pod annotation", limit: 65_536 },
  /** Azure: user data of at most 64 KiB in base64. */
  azure: { carrier: "Azure user data (64 KiB)", limit: Math.floor((65_536 / 4) * 3) - ADAPTOR_PART },
  /** EC2: user data of at most 16 KiB before its own encoding; the document inside is base64 already. */
  ec2: { carrier: "EC2 user data (16 KiB)", limit: 16_384 - ADAPTOR_PART },
} as const satisfies Record<string, InitdataCarrier>;

export interface InitdataRule {
  /** Hash that fills the launch field exactly; vTPMs extend a sha256 PCR. */
  readonly algorithm: InitdataHash;
  /** Field of the evidence that carries it. */
  readonly field: "HOSTDATA" | "MRCONFIGID" | "PCR 8" | "sample claim" | "none";
  /**
   * Who vouches for the field: `launch`: the processor, from before the guest runs; `vtpm`: the vTPM inside the guest's
   * paravisor, extended at boot; `none`: nobody, the host may claim any.
   */
  readonly bound: "launch" | "vtpm" | "none";
  readonly carrier: keyof typeof INITDATA_CARRIERS;
}

/** Source: confidential-containers/trustee kbs/docs/initdata.md; SNP HOSTDATA 32 bytes, TDX MRCONFIGID 48. */
export const initdataAlgorithm = (tee: Tee): InitdataHash => (tee === "tdx" ? "sha384" : "sha256");

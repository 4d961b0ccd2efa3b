import type * as pulumi from "@pulumi/pulumi";

/**
 * Which key broker and ledger a resource talks to: public texts, no credential. URLs are the ones that guests use, and
 * part of every step's identity; a machine that needs another way sets SEALFLOW_ROUTES.
 */
export interface RelyingPartyReference {
  /** `https://…` of the key broker. */
  kbsUrl: pulumi.Input<string>;
  /** `https://…` of the ledger. */
  ledgerUrl: pulumi.Input<string>;
  /** CA of both, PEM; guests pin it. */
  caPem: pulumi.Input<string>;
  /** Ed25519 key of the ledger, base64url. */
  ledgerKey: pulumi.Input<string>;
}

/** Input of every resource that talks to a relying party. */
export interface AtRelyingParty {
  /** @default the relying party of this machine, `npx sealflow dev` */
  relyingParty?: RelyingPartyReference;
}

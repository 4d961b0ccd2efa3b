/** Who may call the key broker's admin endpoints: one role, by short-lived tokens of one key. */

/** What an admin token says, and what the key broker checks in it (Trustee 0.21 and later). */
export interface AdminClaims {
  readonly issuer: string;
  readonly audience: string;
  /** Matched to the `role` of an access rule. */
  readonly role: string;
}

export const ADMIN_CLAIMS: AdminClaims = { issuer: "sealflow", audience: "KBS", role: "sealflow" };

/** Everything that the provider and the command line call; a role may do these and nothing else. */
export const ADMIN_ENDPOINTS =
  "^/kbs/v0/(resource|resource/.+|resource-policy|attestation-policy|reference-value(/.+)?)$";

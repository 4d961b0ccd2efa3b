import type { KeyObject } from "node:crypto";

/** The one curve that guests read signatures of, for sealed secrets and images alike. */
export const isP256 = (key: KeyObject): boolean =>
  key.asymmetricKeyType === "ec" && key.asymmetricKeyDetails?.namedCurve === "prime256v1";

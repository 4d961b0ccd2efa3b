/** How a platform's guests are set up; the same for every step on it, and part of every step's identity. */
import type { INITDATA_CARRIERS } from "./platforms/initdata";

export interface RegistryMirror {
  /** Registry or path below it, such as `docker.io/library`. */
  readonly prefix: string;
  /** Where to pull from, in this order, before the registry itself. TLS always. */
  readonly mirrors: readonly string[];
}

/** How guests pull images. @default from their registries, unsigned, without credentials */
export interface ImageSettings {
  /** Which images may run: `kbs:///repository/type/tag` of a policy made by `imagePolicy`. */
  readonly securityPolicyUri?: string;
  /** Registry credentials: `kbs:///repository/type/tag` of a file made by `registryCredentials`. */
  readonly credentialsUri?: string;
  readonly mirrors?: readonly RegistryMirror[];
  readonly proxy?: { readonly https?: string; readonly http?: string; readonly noProxy?: string };
  /** CAs of private registries, PEM. */
  readonly extraRoots?: readonly string[];
}

export interface GuestSettings {
  /** What carries initdata to the guest; more than it takes is an error in previews. @default "kubernetes" */
  readonly initdataCarrier?: keyof typeof INITDATA_CARRIERS;
  /** How guests pull images. */
  readonly images?: ImageSettings;
  /**
   * `kbs:///repository/type/tag` of whatever else a guest may read from the key broker: public keys of the image policy,
   * sealed secrets and the key that they are signed with. The URIs of `images` are granted anyway. @default none
   */
  readonly reads?: readonly string[];
  /** Why guests let the host read their logs and run commands in them. Simulated guests only. @default they do not */
  readonly debugGuests?: string;
}

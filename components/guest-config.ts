/** Helpers for what guests read from the key broker; their results are contents of KbsResources. */
export { imagePolicy, type RegistryLogin, registryCredentials, type SignedScope } from "../policy/guest/image-policy";
export { cosignPublicKey, type ImageSignature, type SignedImage, signImage } from "../policy/guest/image-signature";
export { type SealedSecretArgs, sealingJwk, sealSecret } from "../policy/guest/sealed-secret";
export { type BrokerConfigArgs, brokerConfig } from "../policy/trustee/config";

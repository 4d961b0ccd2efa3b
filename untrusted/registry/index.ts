export { RegistryClient, type RegistryOptions } from "./client";
export { type CredentialSource, type Credentials, fileCredentials } from "./credentials";
export { type RegistryCode, RegistryError } from "./errors";
export { isPulled, type PulledImage, type PullOptions, pullImage } from "./pull";
export { type PushedImage, type PushOptions, pushImage } from "./push";

/**
 * Credentials of an S3 store, looked for in this order: environment, web identity (EKS IRSA), container (EKS Pod
 * Identity, ECS), shared credentials file, instance role (IMDSv2). They stay in this process; guests get signed URLs.
 * Source: "Standardized credential providers" of the AWS SDKs and Tools reference.
 */
import { homedir } from "node:os";
import { firstOf } from "../issuer";
import { renewed } from "../renewed";
import { fromContainer } from "./container";
import { fromEnvironment } from "./environment";
import { fromInstance } from "./instance";
import type { Env, S3Credentials } from "./issued";
import { fromSharedFile } from "./shared-file";
import { fromWebIdentity } from "./web-identity";

/** Renewed this long before they end, milliseconds: URLs signed with them end with them. */
const MARGIN_MS = 15 * 60 * 1000;

export interface S3CredentialOptions {
  /** Of the bucket. */
  readonly region: string;
  /** @default process.env */
  readonly env?: Env;
  /** Folder of `.aws/`. @default the user's home */
  readonly home?: string;
  /** Milliseconds since 1970. @default Date.now */
  readonly now?: () => number;
}

/** Gives credentials that still hold for a while. @throws LedgerError naming every place that was looked at. */
export const s3Credentials = ({
  region,
  env = process.env,
  home = homedir(),
  now = Date.now,
}: S3CredentialOptions): (() => Promise<S3Credentials>) =>
  renewed(
    () =>
      firstOf("credentials", [
        () => fromEnvironment(env),
        () => fromWebIdentity(region, env),
        () => fromContainer(env),
        () => fromSharedFile(env, home),
        () => fromInstance(env),
      ]),
    MARGIN_MS,
    now,
  );

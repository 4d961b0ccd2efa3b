import type { Looked } from "../issuer";
import type { Env, S3Credentials } from "./issued";

/** Static keys: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, for a session, AWS_SESSION_TOKEN. */
export function fromEnvironment(env: Env): Looked<S3Credentials> {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_SESSION_TOKEN: token } = env;
  if (!accessKeyId || !secretAccessKey)
    return { nothing: "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (not both set)" };
  return { value: { accessKeyId, secretAccessKey, ...(token ? { sessionToken: token } : {}) } };
}

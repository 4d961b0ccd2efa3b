import { SealflowError } from "../../protocol/errors";

/**
 * Append only. RUNNER_MISSING: no bundled runner; build first. ARCHITECTURE: the lock has no inputs for it.
 * NODE_MISSING: the pinned Node package is not installed. HASH: an input has other bytes than the lock says.
 * APT_MISSING: no apt-get or dpkg-deb. APT_VERSION: a pinned package version is no longer served.
 * APT_FAILED: download or unpacking failed; retry. ELF: the Node binary is not a 64-bit ELF file.
 */
export type RunnerLayerCode =
  | "RUNNER_MISSING"
  | "ARCHITECTURE"
  | "NODE_MISSING"
  | "HASH"
  | "APT_MISSING"
  | "APT_VERSION"
  | "APT_FAILED"
  | "ELF";

export class RunnerLayerError extends SealflowError<RunnerLayerCode> {}

/** What the runner layer is made of (lock.json): each input with name, version and SHA-256, per architecture. */
import lockFile from "./lock.json";

/** Node's names: `x64`, `arm64`. */
export type Architecture = string;

export interface NodeInput {
  /** npm package, installed beside this one. */
  readonly name: string;
  readonly version: string;
  /** Of the file `from`, hex. */
  readonly sha256: string;
  readonly from: string;
  readonly to: string;
}

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  /** Of the .deb file, hex. */
  readonly sha256: string;
  /** Path in the layer (below `sealflow/`) → path in the package. */
  readonly files: Readonly<Record<string, string>>;
}

export interface DebianInputs {
  /** For messages: where the versions come from. */
  readonly release: string;
  /** Debian's name of the architecture. */
  readonly architecture: string;
  readonly packages: readonly DebianPackage[];
}

export interface Inputs {
  readonly node: NodeInput;
  readonly debian: DebianInputs;
  /** Path in the layer → SHA-256 of the file as it is there, hex; of all but the runner. */
  readonly contents: Readonly<Record<string, string>>;
}

export interface Lock {
  /** Of the layer's form: another number is another identity. */
  readonly version: number;
  readonly architectures: Readonly<Record<Architecture, Inputs>>;
}

const FILES: Lock = lockFile as unknown as Lock;

export const lock = (): Lock => FILES;

/** A file that is not what its edge says, or that a reader could be made to run code by. The message never quotes data. */
export class FormatError extends Error {
  override name = "FormatError";
}

/** Gets a file piece by piece; throws FormatError at the first byte that cannot be. */
export interface Checker {
  write(piece: Uint8Array): void;
  /** After the last piece. */
  end(): void;
}

export const refuse = (what: string): never => {
  throw new FormatError(what);
};

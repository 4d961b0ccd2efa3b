import { MAX_PARTS } from "../../../protocol/messages";

const MIB = 1024 * 1024;
/** Objects up to this size go in one PUT; also the size of parts, until there would be too many. */
const PART = 16 * MIB;

/** Follows from the size alone, so that every process of the ledger plans the same parts. Above the 5 MiB of S3. */
export function partSizeOf(size: number, least = PART): number {
  const needed = Math.ceil(size / MAX_PARTS / MIB) * MIB;
  return Math.max(least, needed);
}

/** Bytes of part `index`. */
export const bytesOfPart = (size: number, partSize: number, index: number): number =>
  Math.min(partSize, size - index * partSize);

export const partCount = (size: number, partSize: number): number => Math.max(1, Math.ceil(size / partSize));

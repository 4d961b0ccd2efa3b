/** An input as the receipt names it, and as it is read. */
import type { Format } from "../protocol/formats";
import type { Predicate } from "../protocol/messages";
import type { OpenedBundle } from "./bundle";

export type ReceiptInput = Predicate["inputs"][number];
export type Source = OpenedBundle["bundle"]["program"]["inputs"][string];

/** One object to read, with the key that opens it and where its plaintext goes. */
export interface InputObject {
  readonly receipt: ReceiptInput;
  readonly url: string;
  readonly size: number;
  readonly key: Uint8Array;
  readonly associatedData: Uint8Array;
  readonly format: Format;
  readonly allowUnsafe: boolean;
  /** Below the folder of inputs: `<name>` or `<name>/<shard>`. */
  readonly path: readonly string[];
}

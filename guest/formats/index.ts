import type { Format } from "../../protocol/formats";
import { ArrowChecker, ParquetChecker } from "./columnar";
import { JsonChecker, JsonLinesChecker } from "./json";
import { NpyChecker } from "./npy";
import { OnnxChecker } from "./onnx";
import { PngChecker } from "./png";
import { SafetensorsChecker } from "./safetensors";
import { TarChecker } from "./tar";
import { CsvChecker, TextChecker } from "./text";
import type { Checker } from "./types";

export { type Checker, FormatError } from "./types";

/**
 * @param allowUnsafe the edge's `allowUnsafeFormat`: numpy object arrays and tar members of unknown kind pass. Links and
 *   devices in archives never do.
 */
export function checkerFor(format: Format, allowUnsafe = false): Checker {
  switch (format) {
    case "json":
      return new JsonChecker();
    case "jsonl":
      return new JsonLinesChecker();
    case "csv":
      return new CsvChecker();
    case "text":
      return new TextChecker();
    case "npy":
      return new NpyChecker(allowUnsafe);
    case "png":
      return new PngChecker();
    case "safetensors":
      return new SafetensorsChecker();
    case "parquet":
      return new ParquetChecker();
    case "arrow":
      return new ArrowChecker();
    case "onnx":
      return new OnnxChecker();
    case "tar":
      return new TarChecker(allowUnsafe, (member) => checkerFor(member, allowUnsafe));
    case "bytes":
      return { write: () => undefined, end: () => undefined };
  }
}

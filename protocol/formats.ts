/** Formats that an edge may carry. What each check refuses is in guest/formats/. `bytes` promises no safety. */
export const FORMATS = [
  "json",
  "jsonl",
  "csv",
  "parquet",
  "arrow",
  "npy",
  "safetensors",
  "onnx",
  "text",
  "png",
  "tar",
  "bytes",
] as const;

export type Format = (typeof FORMATS)[number];

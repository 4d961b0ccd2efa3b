/** Associated data of sealed streams: canonical JSON, so that an object opens only in the place it was made for. */
import { utf8 } from "./bytes";
import { jcs } from "./canonical";
import type { Format } from "./formats";

export interface EdgePlace {
  readonly pipelineUid: string;
  readonly run: string;
  /** `step.output`, or `step.log`. */
  readonly edge: string;
  readonly shard: number;
  readonly attempt: number;
  readonly format: Format;
}

export const edgeAssociatedData = (p: EdgePlace): Uint8Array =>
  utf8(
    jcs({
      v: 1,
      pipelineUid: p.pipelineUid,
      run: p.run,
      edge: p.edge,
      shard: p.shard,
      attempt: p.attempt,
      format: p.format,
    }),
  );

/** @param contentDigest keyed digest of the plaintext, hex. */
export const datasetAssociatedData = (dataset: string, contentDigest: string, format: Format): Uint8Array =>
  utf8(jcs({ v: 1, dataset, contentDigest, format }));

/** Names and digests as they may appear in labels, paths and messages. A name never needs escaping anywhere. */

/** Pipelines, steps, inputs, outputs, images: 1 to 40 characters. */
export const NAME = /^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/;
export const HEX32 = /^[0-9a-f]{64}$/;

export const isName = (text: string): boolean => NAME.test(text);

/** `split.train` → step and output of an edge. */
export interface EdgeName {
  readonly step: string;
  readonly output: string;
}

export const edgeName = (step: string, output: string): string => `${step}.${output}`;

export function parseEdgeName(edge: string): EdgeName {
  const [step, output, rest] = edge.split(".");
  if (!step || !output || rest !== undefined) throw new RangeError(`"${edge}" is not of the form step.output`);
  return { step, output };
}

/** `ns/type/tag` of a step's bundle and of an image key in the KBS. */
export const bundlePath = (ns: string, programId: string): string => `${ns}/step/${programId}`;
export const imageKeyPath = (ns: string, kekId: string): string => `${ns}/image/${kekId}`;

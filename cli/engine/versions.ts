/** The Pulumi engine that Sealflow installs or builds; tools/pulumi/go.mod pins the same. */
export const ENGINE_VERSION = "3.259.0";

/** The oldest engine on PATH that is used: plugins by folder in Pulumi.yaml, stackConfigDir, component resources. */
export const MINIMUM_ENGINE_VERSION = "3.220.0";

/** The oldest Go that can build the engine, by switching to the toolchain that go.mod names. */
export const MINIMUM_GO_VERSION = "1.24";

/** The first three numbers of a version, `v` and suffixes left out; undefined when there is none in the text. */
export function parseVersion(text: string): [number, number, number] | undefined {
  const match = /(\d+)\.(\d+)(?:\.(\d+))?/.exec(text);
  return match ? [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)] : undefined;
}

/** Whether the first version found in `text` is at least `minimum`; false when there is none. */
export function isAtLeast(text: string, minimum: string): boolean {
  const found = parseVersion(text);
  const wanted = parseVersion(minimum);
  if (found === undefined || wanted === undefined) return false;
  for (let i = 0; i < 3; i++) {
    const difference = (found[i] ?? 0) - (wanted[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

/** Memory that stays the same whatever the size of an object. */
import { setFlagsFromString } from "node:v8";

/**
 * Streaming makes nothing but short-lived objects, and V8 lets their space grow to 48 MiB before it looks at them. It may
 * as well look more often: what it finds is garbage. Set while running, since the runner takes no options; measured by
 * `npm run bench -- memory` (1 GiB: 104 MiB instead of 158, in the same time).
 */
export const keepYoungSpaceSmall = (): void => setFlagsFromString("--semi-space-growth-factor=1");

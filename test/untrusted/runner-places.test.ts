/** Layers of an image cannot touch the runner, also not on a node that got them from elsewhere than `up`. */
import { isRunnerPlace } from "../../untrusted/node/guest/runner-places";

describe("a layer's entry", () => {
  it.each([
    "sealflow",
    "sealflow/runner.js",
    "sealflow-owner/owner.json",
    ".wh.sealflow",
    ".wh.sealflow-owner",
    "sealflow/.wh.runner.js",
    "sealflow/.wh..wh..opq",
    ".wh..wh..opq",
    "etc/ld.so.preload",
    "x/ld.so.preload",
  ])("%s is refused", (entry) => expect(isRunnerPlace(entry)).toBe(true));

  it.each(["app/main.js", "sealflow.txt", "usr/sealflow/x", "etc/.wh.x", "app/.wh..wh..opq", "etc/ld.so.conf"])(
    "%s is content",
    (entry) => expect(isRunnerPlace(entry)).toBe(false),
  );
});

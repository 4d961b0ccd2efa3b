import { packageRoot } from "../../cli/engine";

const { stale } = require("../../tools/protocol-docs.js") as { stale: (root: string) => string[] };

test("the protocol's tables of messages and codes are what the code says (mend: npm run docs:protocol)", () => {
  expect(stale(packageRoot())).toEqual([]);
});

/** The development key broker answers as suites/kbs.ts says; trustee.slow.test.ts asks Trustee the same. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDevKbs, type DevKbs } from "../../relying-party/dev-kbs";
import { TEST_ADMIN, TEST_ADMIN_KEY } from "../support/admin-key";
import { serveHttps, type TestServer } from "../support/https";
import { kbsSuite } from "./suites/kbs";

let dir: string;
let kbs: DevKbs;
let server: TestServer;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "sealflow-kbs-suite-"));
  kbs = createDevKbs({ dir, admin: TEST_ADMIN });
  server = await serveHttps((request) => kbs.handle(request));
});
afterAll(async () => {
  await server.close();
  kbs.close();
  rmSync(dir, { recursive: true });
});

describe("the development key broker", () => {
  kbsSuite(() => ({ url: server.url, caPem: server.caPem, adminKey: TEST_ADMIN_KEY }));
});

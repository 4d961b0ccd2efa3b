/** A suite that plays random histories on one engine. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import type { Engine } from "../support/ledger-engines";
import { createDriver, type Driver, histories } from "./driver";

/** In memory where there is such a file system: what is tested here is order, not the disk. */
const FOLDER = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** @param runs histories; each has up to 30 turns of up to three requests at once. */
export function checkHistories(engine: Engine, runs: number): void {
  describe(`the ledger on ${engine.name}`, () => {
    let dir: string;
    let driver: Driver;
    beforeAll(async () => {
      dir = mkdtempSync(join(FOLDER, "sf-model-"));
      driver = await createDriver(dir, await engine.fresh());
    });
    afterAll(async () => {
      await driver?.close();
      rmSync(dir, { recursive: true, force: true });
    });

    it(
      `answers as the model does in ${runs} random histories, with requests that meet`,
      () =>
        fc.assert(
          fc.asyncProperty(histories, (h) => driver.play(h)),
          { numRuns: runs },
        ),
      60_000 + runs * 2000,
    );
  });
}

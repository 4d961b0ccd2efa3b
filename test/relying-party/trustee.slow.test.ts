/**
 * Trustee itself answers as the development key broker does: suites/kbs.ts, with Sealflow's configuration, policies,
 * admin tokens, client, grants and canary.
 */
import { givenTrustee, type RunningTrustee, startTrustee } from "../support/trustee";
import { type KbsTarget, kbsSuite } from "./suites/kbs";

const binary = process.env.SEALFLOW_TRUSTEE_KBS;
const given = givenTrustee(process.env);

if (!binary && !given) {
  const how =
    "give SEALFLOW_TRUSTEE_KBS=<path of Trustee's kbs>, or SEALFLOW_TEST_KBS=<url>, SEALFLOW_TEST_KBS_CA=<pem>, SEALFLOW_KBS_ADMIN_KEY_FILE=<jwk> of one that may be changed";
  test(`skipped: no Trustee key broker here; ${how}`, () => undefined);
} else {
  describe("Trustee", () => {
    let started: RunningTrustee | undefined;
    let target: KbsTarget;
    beforeAll(async () => {
      started = given ? undefined : await startTrustee(binary as string);
      target = given ?? (started as RunningTrustee);
    }, 60_000);
    afterAll(() => started?.close());

    kbsSuite(() => target);
  });
}

import { lookup } from "node:dns/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { packageRoot } from "./package-root";
import { lastWords, run } from "./process";
import { ENGINE_VERSION } from "./versions";

const HOST = "get.pulumi.com";
/** To see whether the host can be reached at all, in milliseconds. */
const REACH_TIMEOUT_MS = 5_000;
/** For the whole download (about 200 MB) and unpacking, in milliseconds. */
const INSTALL_TIMEOUT_MS = 60_000;

/**
 * Installs the official engine into `root` with the Automation API, in a process of its own that can be ended.
 * @returns why it did not work; undefined when it did
 */
export async function installOfficial(root: string): Promise<string | undefined> {
  const unreachable = await reach(HOST);
  if (unreachable !== undefined) return unreachable;
  const script = `
    const { PulumiCommand } = require("@pulumi/pulumi/automation");
    const sdk = require("node:module").createRequire(require.resolve("@pulumi/pulumi/package.json"));
    const { SemVer } = sdk("semver");
    PulumiCommand.install({ root: process.argv[1], version: new SemVer(process.argv[2]) }).catch((error) => {
      console.error(error.message);
      process.exitCode = 1;
    });`;
  const outcome = await run(process.execPath, ["-e", script, root, ENGINE_VERSION], {
    cwd: packageRoot(),
    // The installer looks into PULUMI_HOME for other versions; never into the user's.
    env: { ...process.env, PULUMI_HOME: join(root, "home"), PULUMI_SKIP_UPDATE_CHECK: "true" },
    timeoutMs: INSTALL_TIMEOUT_MS,
  });
  if (outcome.timedOut) return `not finished after ${INSTALL_TIMEOUT_MS / 1000} s`;
  return outcome.code === 0 ? undefined : lastWords(outcome);
}

/** @returns why nothing answers at port 443 of the host; undefined when something does */
async function reach(host: string): Promise<string | undefined> {
  const deadline = new Promise<string>((resolve) => {
    setTimeout(() => resolve(`${host} gave no answer within ${REACH_TIMEOUT_MS / 1000} s`), REACH_TIMEOUT_MS).unref();
  });
  const attempt = async (): Promise<string | undefined> => {
    try {
      const { address } = await lookup(host);
      return await new Promise((resolve) => {
        const socket = connect({ host: address, port: 443, timeout: REACH_TIMEOUT_MS });
        socket.on("connect", () => {
          socket.destroy();
          resolve(undefined);
        });
        socket.on("timeout", () => {
          socket.destroy();
          resolve(`${host} gave no answer`);
        });
        socket.on("error", (error) => resolve(`${host} is not reachable (${error.message})`));
      });
    } catch (error) {
      return `${host} is not reachable (${(error as Error).message})`;
    }
  };
  return Promise.race([attempt(), deadline]);
}

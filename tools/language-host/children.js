/** The Node processes the host has started; none outlives it. */

const { spawn } = require("node:child_process");

/** How often to look whether the engine is still there, in milliseconds. */
const PARENT_CHECK_MS = 2000;

class Children {
  #running = new Set();

  /**
   * @param {string[]} args for this same Node
   * @param {import("node:child_process").SpawnOptions} options
   */
  start(args, options) {
    const child = spawn(process.execPath, args, options);
    this.#running.add(child);
    /** @type {Promise<{code: number | null, signal: NodeJS.Signals | null, error?: Error}>} */
    const ended = new Promise((resolve) => {
      child.on("error", (error) => resolve({ code: null, signal: null, error }));
      child.on("close", (code, signal) => resolve({ code, signal }));
    });
    ended.then(() => this.#running.delete(child));
    return { process: child, ended };
  }

  /** @param {NodeJS.Signals} [signal] */
  stopAll(signal = "SIGTERM") {
    for (const child of this.#running) child.kill(signal);
  }

  /** Ends with the engine: when it is killed, nothing else tells us. */
  followParent() {
    const parent = process.ppid;
    setInterval(() => {
      if (process.ppid === parent) return;
      this.stopAll("SIGKILL");
      process.exit(1);
    }, PARENT_CHECK_MS).unref();
    for (const signal of ["SIGINT", "SIGTERM"]) {
      process.on(signal, () => {
        this.stopAll();
        process.exit(0);
      });
    }
  }
}

module.exports = { Children };

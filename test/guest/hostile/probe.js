// A step program that tries what it must not get, and reports what it got. Runs inside a guest, with Node alone.
const fs = require("node:fs");
const net = require("node:net");
const { spawn } = require("node:child_process");
const params = JSON.parse(fs.readFileSync("/sealflow/params.json", "utf8"));

const attempt = (work) => {
  try {
    const result = work();
    return result === undefined ? "done" : result;
  } catch (error) {
    return error.code ?? error.message;
  }
};
const connects = (port, host) =>
  new Promise((resolve) => {
    const socket = net.connect({ port, host, timeout: 2000 });
    socket.on("connect", () => resolve("connected"));
    socket.on("timeout", () => resolve("timeout"));
    socket.on("error", (error) => resolve(error.code));
  });

/** Every file that can be read, and what of the searched words is in it. */
function search(words) {
  const found = [];
  const readable = [];
  const walk = (dir, depth) => {
    let names;
    try {
      names = fs.readdirSync(dir, { withFileTypes: true });
    } catch {
      return;
    }
    for (const entry of names) {
      const path = `${dir === "/" ? "" : dir}/${entry.name}`;
      if (
        path.startsWith("/sys") ||
        path === "/sealflow/bin/node" ||
        /^\/proc\/(\d+|self|thread-self)\/(task|cwd|root)/.test(path)
      )
        continue;
      if (entry.isDirectory()) {
        if (depth < 12) walk(path, depth + 1);
        continue;
      }
      if (!entry.isFile() || /^\/proc\/(kmsg|kcore|kpage)/.test(path)) continue;
      try {
        const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
        const buffer = Buffer.alloc(4 * 1024 * 1024);
        const bytes = fs.readSync(fd, buffer, 0, buffer.length, null);
        fs.closeSync(fd);
        if (!path.startsWith("/proc")) readable.push(path);
        for (const [name, word] of Object.entries(words)) {
          if (buffer.subarray(0, bytes).includes(word) && !["/sealflow/params.json", "/app/main.js"].includes(path)) {
            found.push(`${name} in ${path}`);
          }
        }
      } catch {
        // Not readable: fine.
      }
    }
  };
  walk("/", 0);
  return { found, readable: readable.filter((path) => !path.startsWith("/sealflow/lib/")) };
}

const statusLine = (name) =>
  new RegExp(`^${name}:\\s*(.*)$`, "m").exec(fs.readFileSync("/proc/self/status", "utf8"))?.[1];

async function main() {
  const report = {
    network: {
      cdh: await connects(8006, "127.0.0.1"),
      ledger: await connects(params.ledgerPort, "127.0.0.1"),
      outside: await connects(53, "192.0.2.1"),
      interfaces: Object.keys(require("node:os").networkInterfaces()),
    },
    process: {
      uid: process.getuid(),
      groups: process.getgroups(),
      capabilities: statusLine("CapEff"),
      bounding: statusLine("CapBnd"),
      noNewPrivileges: statusLine("NoNewPrivs"),
      seccomp: statusLine("Seccomp"),
      env: Object.keys(process.env).sort(),
      descriptors: fs
        .readdirSync("/proc/self/fd")
        .filter((fd) => Number(fd) > 2)
        .map((fd) => attempt(() => fs.readlinkSync(`/proc/self/fd/${fd}`)))
        .filter((target) => !/anon_inode|^\/proc\/|pipe:|ENOENT|^\/dev\/null$/.test(target)),
      others: fs
        .readdirSync("/proc")
        .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
        .map((pid) =>
          attempt(() => fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").slice(0, 400)),
        ),
      initEnviron: attempt(() => fs.readFileSync("/proc/1/environ", "utf8")),
      initMemory: attempt(() => fs.closeSync(fs.openSync("/proc/1/mem", "r+"))),
      initRoot: attempt(() => fs.readdirSync("/proc/1/root/")),
      killInit: attempt(() => process.kill(1, "SIGKILL")),
      becomeRoot: attempt(() => process.setuid(0)),
    },
    files: {
      top: fs.readdirSync("/").sort(),
      sealflow: fs.readdirSync("/sealflow").sort(),
      bin: fs.readdirSync("/sealflow/bin").sort(),
      owner: attempt(() => fs.readFileSync("/sealflow-owner/owner.json", "utf8")),
      runner: attempt(() => fs.readFileSync("/sealflow/runner.js").length),
      scratch: attempt(() => fs.readdirSync("/sealflow/scratch")),
      ...search({
        bundle: "sealflow-bundle",
        seed: "signingSeed",
        otherInput: "only for the other step",
        runner: "sealflow-runner stage",
      }),
    },
    writes: Object.fromEntries(
      [
        "/x",
        "/app/x",
        "/etc/x",
        "/sealflow/x",
        "/sealflow/in/x",
        "/sealflow/bin/node",
        "/proc/sys/kernel/core_pattern",
        "/proc/sysrq-trigger",
        "/dev/x",
        "/run/x",
      ].map((path) => [path, attempt(() => fs.closeSync(fs.openSync(path, "a")))]),
    ),
    params: attempt(() => fs.closeSync(fs.openSync("/sealflow/params.json", "a"))),
    input: attempt(() => fs.closeSync(fs.openSync("/sealflow/in/mine", "a"))),
  };
  // A process that outlives this one and holds nothing of it.
  const code = `for (const s of ["SIGTERM", "SIGHUP", "SIGINT"]) process.on(s, () => {});
    const fs = require("fs"); setInterval(() => fs.appendFileSync("/sealflow/out/extra", "${params.marker}"), 1);`;
  const child = spawn(process.execPath, ["-e", code, params.marker], { detached: true, stdio: "ignore" });
  child.unref();
  await new Promise((resolve) => setTimeout(resolve, 500));
  report.background = attempt(() => fs.readFileSync(`/proc/${child.pid}/cmdline`, "utf8").includes(params.marker));
  fs.writeFileSync("/sealflow/out/report", JSON.stringify(report));
  // Printed, and so in the log; never on the outside.
  console.log(params.marker);
}
main();

/** The program of the neighbour's reader, run in its guest: what it got of what is not its own; false when nothing. */
export const HOSTILE_PROGRAM = `
const fs = require("node:fs");
const net = require("node:net");
const connects = (port, host) =>
  new Promise((resolve) => {
    const socket = net.connect({ port, host, timeout: 1500 });
    socket.on("connect", () => resolve("connected"));
    socket.on("timeout", () => resolve(false));
    socket.on("error", () => resolve(false));
  });
const got = (work) => {
  try {
    return work() || false;
  } catch {
    return false;
  }
};
const holds = (file, words) => {
  const text = fs.readFileSync(file, "latin1");
  return words.some((word) => text.includes(word)) && file;
};
const SECRET = ["signingSeed", "sealflow-bundle", "SEALFLOW_RESOURCE", "edgeRoots"];
async function main() {
  const pids = fs.readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name) && Number(name) !== process.pid);
  const report = {
    "the key service on loopback": await connects(8006, "127.0.0.1"),
    "an address outside": await connects(443, "192.0.2.1"),
    "the runner's file": got(() => fs.readFileSync("/sealflow/runner.js").length),
    "the runner's scratch": got(() => fs.readdirSync("/sealflow/scratch").length),
    "the owner's key file": got(() => fs.readFileSync("/sealflow-owner/owner.json", "utf8")),
    "the runner's environment": got(() => pids.map((p) => got(() => holds("/proc/" + p + "/environ", SECRET))).find(Boolean)),
    "the runner's command line": got(() => pids.map((p) => got(() => holds("/proc/" + p + "/cmdline", ["runner.js"]))).find(Boolean)),
    "memory of another process": got(() => pids.map((p) => got(() => fs.openSync("/proc/" + p + "/mem", "r+"))).find(Boolean)),
    "the root of another process": got(() => pids.map((p) => got(() => holds("/proc/" + p + "/root/sealflow/runner.js", ["x"]))).find(Boolean)),
    "its own environment": got(() => Object.keys(process.env).find((name) => /RESOURCE|RUN|OPENSSL/.test(name))),
    "root": got(() => { process.setuid(0); return process.getuid() === 0; }),
    "capabilities": got(() => !/^CapEff:\\s*0+$/m.test(fs.readFileSync("/proc/self/status", "utf8"))),
    "writing beside its output": got(() => ["/x", "/app/x", "/sealflow/x", "/sealflow/in/x", "/run/x", "/etc/x"].find((f) => got(() => { fs.writeFileSync(f, ""); return true; }))),
    "changing its input": got(() => { fs.appendFileSync("/sealflow/in/out", " "); return true; }),
    "the name of another input": got(() => fs.readdirSync("/sealflow/in").find((name) => name !== "out")),
  };
  fs.writeFileSync("/sealflow/out/report", JSON.stringify(report));
}
main();
`;

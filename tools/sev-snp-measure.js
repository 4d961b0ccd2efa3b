/**
 * The reference implementation of SEV-SNP launch measurements (the Python package sev-snp-measure) and a real firmware to
 * measure, for tests: fetched once into the cache through pip and apt. A file of either already installed is taken too.
 */
const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

const VERSION = "0.0.13";
const cacheOf = (name) => path.join(process.env.SEALFLOW_CACHE || path.join(os.homedir(), ".cache", "sealflow"), name);
const quiet = { stdio: ["ignore", "ignore", "pipe"], timeout: 120_000 };

/** @returns {string | undefined} path of the command; undefined, and the reason on stderr, when it cannot be had. */
function findSevSnpMeasure() {
  const venv = cacheOf(`sev-snp-measure-${VERSION}`);
  const command = path.join(venv, "bin", "sev-snp-measure");
  if (fs.existsSync(command)) return command;
  try {
    execFileSync("python3", ["-m", "venv", venv], quiet);
    execFileSync(path.join(venv, "bin", "pip"), ["install", "--quiet", `sev-snp-measure==${VERSION}`], quiet);
    return command;
  } catch (error) {
    fs.rmSync(venv, { recursive: true, force: true });
    console.error(`sev-snp-measure cannot be installed here, so its tests are skipped: ${error.message}`);
    return undefined;
  }
}

/** @returns {string | undefined} an OVMF code file of Debian's package `ovmf`. */
function findOvmf() {
  const installed = "/usr/share/ovmf/OVMF.fd";
  if (fs.existsSync(installed)) return installed;
  const folder = cacheOf("ovmf");
  const file = path.join(folder, "usr", "share", "ovmf", "OVMF.fd");
  if (fs.existsSync(file)) return file;
  try {
    fs.mkdirSync(folder, { recursive: true });
    execFileSync("apt-get", ["download", "ovmf"], { ...quiet, cwd: folder });
    const archive = fs.readdirSync(folder).find((name) => name.endsWith(".deb"));
    execFileSync("dpkg-deb", ["-x", archive, "."], { ...quiet, cwd: folder });
    return file;
  } catch (error) {
    fs.rmSync(folder, { recursive: true, force: true });
    console.error(`Debian's OVMF cannot be fetched here, so its tests are skipped: ${error.message}`);
    return undefined;
  }
}

/**
 * @param {string} command
 * @param {{ovmf: string, vcpus: number, cpu?: string, signature?: number, features?: number, kernel?: string,
 *   initrd?: string, append?: string}} args paths of files
 * @returns {string} the measurement, hex
 */
function sevSnpMeasure(command, { ovmf, vcpus, cpu, signature, features = 1, kernel, initrd, append }) {
  const args = [
    "--mode",
    "snp",
    "--ovmf",
    ovmf,
    "--vcpus",
    String(vcpus),
    "--guest-features",
    `0x${features.toString(16)}`,
  ];
  if (cpu) args.push("--vcpu-type", cpu);
  if (signature) args.push("--vcpu-sig", `0x${signature.toString(16)}`);
  if (kernel) args.push("--kernel", kernel);
  if (initrd) args.push("--initrd", initrd);
  if (append !== undefined) args.push("--append", append);
  return execFileSync(command, args, { encoding: "utf8" }).trim();
}

module.exports = { findSevSnpMeasure, findOvmf, sevSnpMeasure };

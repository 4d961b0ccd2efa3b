/**
 * What a host is asked before Confidential Containers are installed. Everything is read from the kernel's public files,
 * which a pod without any privilege sees: parameters of kvm modules, flags of the processor, the kernel's release. Not
 * seen from a pod, so not checked: firmware versions, the BIOS, quote services of TDX.
 * It prints one line for each check; problems go to the termination log, too, and make it fail.
 */
import { HOST_FLOORS } from "../../model/platforms";
import { BareMetalTee } from "./args";

export interface PreflightChoice {
  readonly tee: BareMetalTee;
  readonly nvidia: boolean;
}

interface Hardware {
  readonly floor: string;
  /** Module parameter that is Y when the host can start such guests. */
  readonly parameter: string;
  /** Flag of /proc/cpuinfo. */
  readonly flag: string;
  readonly remedy: string;
}

const HARDWARE: Readonly<Record<BareMetalTee, Hardware>> = {
  [BareMetalTee.SevSnp]: {
    floor: HOST_FLOORS["SEV-SNP"].kernel,
    parameter: "kvm_amd/parameters/sev_snp",
    flag: "sev_snp",
    remedy: "switch SMEE, SEV-SNP and IOMMU on in the BIOS",
  },
  [BareMetalTee.Tdx]: {
    floor: HOST_FLOORS.TDX.kernel,
    parameter: "kvm_intel/parameters/tdx",
    flag: "tdx_host_platform",
    remedy: "switch TME-MT and TDX on in the BIOS and boot with kvm_intel.tdx=1",
  },
};

/** @returns a POSIX shell script. SYS and PROC say where /sys and /proc are, for tests. */
export function preflightScript({ tee, nvidia }: PreflightChoice): string {
  const { floor, parameter, flag, remedy } = HARDWARE[tee];
  return `set -u
SYS=\${SYS:-/sys}
PROC=\${PROC:-/proc}
LOG=\${TERMINATION_LOG:-/dev/termination-log}
failed=0
good() { echo "ok: $1"; }
bad() { echo "problem: $1"; echo "$1" >> "$LOG"; failed=1; }

release=$(cat "$PROC/sys/kernel/osrelease" 2>/dev/null || uname -r)
lowest=$(printf '%s\\n%s\\n' "\${release%%[-+]*}" "${floor}" | sort -t. -k1,1n -k2,2n -k3,3n | head -n 1)
if [ "$lowest" = "${floor}" ]; then good "kernel $release"
else bad "kernel is $release, needed is ${floor} or newer; upgrade the host's kernel"; fi

if grep -qw "${flag}" "$PROC/cpuinfo" 2>/dev/null; then good "processor has ${flag}"
else bad "processor shows no ${flag}; ${remedy}"; fi

value=$(cat "$SYS/module/${parameter}" 2>/dev/null || echo missing)
case "$value" in
  Y|1) good "${parameter} is on" ;;
  *) bad "${parameter} is $value; ${remedy}, and load the module" ;;
esac

if [ -e "$SYS/class/misc/kvm" ] || [ -e "$SYS/devices/virtual/misc/kvm" ]; then good "KVM is there"
else bad "no KVM; load the kvm module"; fi
${nvidia ? NVIDIA : ""}
[ "$failed" = 0 ] && good "host can take guests"
exit "$failed"
`;
}

const NVIDIA = `
gpus=0
for vendor in "$SYS"/bus/pci/devices/*/vendor; do
  class=$(cat "\${vendor%vendor}class" 2>/dev/null || echo none)
  case "$(cat "$vendor" 2>/dev/null):$class" in 0x10de:0x03*) gpus=$((gpus + 1)) ;; esac
done
if [ "$gpus" -gt 0 ]; then good "$gpus NVIDIA GPUs"
else bad "no NVIDIA GPU on the PCI bus; plug one in, or set nvidia: false"; fi
if [ -d "$SYS/bus/pci/drivers/vfio-pci" ]; then good "vfio-pci is there"
else bad "no vfio-pci, which passes GPUs through; load it"; fi
`;

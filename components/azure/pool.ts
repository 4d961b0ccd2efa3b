/** What pools of Linux nodes have in common; a pool's name is fixed, so another size removes it before making the new one. */
export const linuxPool = ({ size, count, os }: { size: string; count: number; os: string }) =>
  ({
    mode: "User",
    type: "VirtualMachineScaleSets",
    // The size alone makes a node confidential; AKS has no property for it.
    vmSize: size,
    count,
    osType: "Linux",
    osSKU: os,
  }) as const;

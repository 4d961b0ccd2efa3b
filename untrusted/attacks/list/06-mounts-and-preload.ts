import { decideAll, type Loose } from "../support/guest-requests";
import type { Attack } from "../types";

const SHARED = "/run/kata-containers/shared/containers/";
const bind = (destination: string, source: string) => ({
  destination,
  source,
  type_: "bind",
  options: ["rbind", "ro"],
});

export const mountsAndPreload: Attack = {
  number: 6,
  title: "files of the host over files of the image; code through the environment",
  power: "control plane",
  expected: ["POLICY", "MANIFEST"],
  mount: async (world) => {
    const tries = decideAll(world, {
      "a file over the runner": ({ step }) => {
        step.OCI.Mounts.push(bind("/sealflow/runner.js", `${SHARED}${step.container_id}-00000000000000ff-runner.js`));
      },
      "a volume over the owner's key": ({ step }) => {
        step.OCI.Mounts.push(bind("/sealflow-owner", "/run/kata-containers/sandbox/ephemeral/x"));
      },
      "a service account's folder": ({ step }) => {
        step.OCI.Mounts.push(bind("/var/run/secrets/kubernetes.io/serviceaccount", `${SHARED}x-serviceaccount`));
      },
      "/etc/ld.so.preload": ({ step }) => {
        step.OCI.Mounts.push(bind("/etc/ld.so.preload", `${SHARED}${step.container_id}-00000000000000ff-hosts`));
      },
      "a mask over a file of the image, which makes it empty": ({ step }) => {
        step.OCI.Linux.MaskedPaths.push("/app/allowed-users.txt");
      },
      "the image's own /proc in place of the kernel's": ({ step }) => {
        step.OCI.Mounts = step.OCI.Mounts.filter((m: Loose) => m.destination !== "/proc");
      },
      "/etc/ssl in place of the one in the image": ({ step }) => {
        step.OCI.Mounts.push(bind("/etc/ssl", `${SHARED}${step.container_id}-00000000000000ff-hosts`));
      },
    });
    const environments: Record<string, string> = {
      LD_PRELOAD: "/app/x.so",
      NODE_OPTIONS: "--require /app/x.js",
      HTTPS_PROXY: "http://evil.example",
      OPENSSL_CONF: "/app/openssl.cnf",
    };
    for (const [name, value] of Object.entries(environments)) {
      const job = world.job(world.target.consumer);
      const [container] = job.spec.template.spec.containers;
      container.env = [...container.env.filter((e: { name: string }) => e.name !== name), { name, value }];
      tries.push({ tried: `${name} in the manifest`, ended: (await world.guest(job)).code });
    }
    return tries;
  },
};

import { decideAll } from "../support/guest-requests";
import type { Attack } from "../types";

export const manifest: Attack = {
  number: 8,
  title: "a manifest with other arguments, environment, containers or order",
  power: "control plane",
  expected: ["POLICY", "MANIFEST"],
  mount: async (world) => {
    const edits: Record<
      string,
      (container: Record<string, unknown> & { env: { name: string; value: string }[] }) => void
    > = {
      "an argument more": (c) => void (c.command as string[]).push("--inspect=0.0.0.0"),
      "another program": (c) => {
        c.command = ["/bin/sh"];
      },
      "SEALFLOW_RESOURCE is missing": (c) => {
        c.env = c.env.filter(({ name }) => name !== "SEALFLOW_RESOURCE");
      },
      "SEALFLOW_RESOURCE twice": (c) => void c.env.push({ name: "SEALFLOW_RESOURCE", value: "a/step/b" }),
      "PATH leads elsewhere": (c) => {
        c.env = c.env.map((e) => (e.name === "PATH" ? { ...e, value: "/app" } : e));
      },
      "more capabilities": (c) => {
        (c.securityContext as { capabilities: { add: string[] } }).capabilities.add.push("SYS_MODULE");
      },
      "a writable root": (c) => {
        (c.securityContext as { readOnlyRootFilesystem: boolean }).readOnlyRootFilesystem = false;
      },
    };
    const tries = [];
    for (const [tried, edit] of Object.entries(edits)) {
      const job = world.job(world.target.consumer);
      edit(job.spec.template.spec.containers[0]);
      tries.push({ tried, ended: (await world.guest(job)).code });
    }
    const sidecar = world.job(world.target.consumer);
    sidecar.spec.template.spec.containers.push(structuredClone(sidecar.spec.template.spec.containers[0]));
    tries.push({ tried: "a sidecar in the manifest", ended: (await world.guest(sidecar)).code });
    const init = world.job(world.target.consumer);
    init.spec.template.spec.initContainers = [init.spec.template.spec.containers[0]];
    tries.push({ tried: "an init container in the manifest", ended: (await world.guest(init)).code });
    return [
      ...tries,
      ...decideAll(world, {
        "a second step container": (pod) => {
          pod.after.push(["CreateContainerRequest", { ...structuredClone(pod.step), container_id: "c".repeat(64) }]);
        },
        "a program into the running container": (pod) => {
          pod.after.push([
            "ExecProcessRequest",
            { container_id: pod.step.container_id, exec_id: "x", process: pod.step.OCI.Process },
          ]);
        },
        "its output streamed out": (pod) => {
          pod.after.push(["ReadStreamRequest", { container_id: pod.step.container_id, exec_id: "x", len: 4096 }]);
        },
        "another policy": (pod) => {
          pod.after.push([
            "SetPolicyRequest",
            { policy: "package agent_policy\ndefault AllowRequestsFailingPolicy := true" },
          ]);
        },
        "the step before the pause container": (pod) => {
          pod.order = ["sandbox", "files", "step", "pause"];
        },
        "no sandbox": (pod) => {
          pod.order = ["files", "pause", "step"];
        },
      }),
    ];
  },
};

import { decideAll } from "../support/guest-requests";
import type { Attack } from "../types";

const HOOK = { Path: "/bin/sh", Args: ["-c", "cp -r /sealflow /shared"], Env: [], Timeout: 5 };

export const hooks: Attack = {
  number: 7,
  title: "hooks in a request to create a container",
  power: "host",
  expected: ["POLICY"],
  mount: async (world) => {
    const kinds = ["Prestart", "CreateRuntime", "CreateContainer", "StartContainer", "Poststart", "Poststop"];
    const tries = Object.fromEntries(
      kinds.map((kind) => [
        `${kind} hook of the step`,
        ({ step }: { step: Record<string, { Hooks: unknown }> }) => {
          (step.OCI as { Hooks: unknown }).Hooks = { [kind]: [HOOK] };
        },
      ]),
    );
    return decideAll(world, {
      ...tries,
      "a hook of the pause container": ({ pause }) => {
        pause.OCI.Hooks = { Prestart: [HOOK] };
      },
      "a folder of hooks for the sandbox": ({ sandbox }) => {
        sandbox.guest_hook_path = "/usr/share/oci/hooks";
      },
    });
  },
};

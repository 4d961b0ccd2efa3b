/** The node as a process of its own: options as one JSON text on standard input; ends with SIGTERM. */
import { readFileSync } from "node:fs";
import { type KubernetesNodeOptions, startKubernetesNode } from "./kubelet";

const options = JSON.parse(readFileSync(0, "utf8")) as KubernetesNodeOptions;
startKubernetesNode({ ...options, onError: (message) => process.stderr.write(`${message}\n`) }).then(
  (node) => {
    process.stdout.write(`${JSON.stringify({ ready: node.name })}\n`);
    process.on("SIGTERM", () => void node.stop().then(() => process.exit(0)));
  },
  (error: Error) => {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  },
);

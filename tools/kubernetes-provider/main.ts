/** As the engine starts a plugin: prints its port, serves until the engine ends it. */
import { serveStandIn } from "./index";

serveStandIn().then(
  ({ port }) => process.stdout.write(`${port}\n`),
  (error: Error) => {
    process.stderr.write(`pulumi-resource-kubernetes (stand-in): ${error.message}\n`);
    process.exitCode = 1;
  },
);

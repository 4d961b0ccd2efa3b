/** Entry of every step's container; bundled to /sealflow/runner.js. */
import { EXIT } from "./errors";
import { layoutOf } from "./layout";
import { keepYoungSpaceSmall } from "./memory";
import { runStep } from "./run";
import { stderrReporter } from "./stage";

// Whatever goes wrong, its text may hold user data: only the code leaves.
for (const event of ["uncaughtException", "unhandledRejection"] as const) {
  process.on(event, () => {
    stderrReporter.failed("INTERNAL", 50);
    process.exit(50);
  });
}

// The platform ends a guest so. Exiting ends the program, too; the first process of a container would not by itself.
process.on("SIGTERM", () => process.exit(EXIT.retry));

keepYoungSpaceSmall();

runStep({
  layout: layoutOf(__filename),
  env: process.env,
  execArgv: process.execArgv,
  report: stderrReporter,
}).then((code) => process.exit(code));

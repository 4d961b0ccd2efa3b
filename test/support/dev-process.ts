/** A process that is the relying party of the folder in its first argument, until it is told to stop. */
import { startDev } from "../../relying-party/dev";

async function main(home: string): Promise<void> {
  const dev = await startDev({ home });
  process.stdout.write("ready\n");
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => dev.close().then(() => process.exit(0)));
  }
}

main(process.argv[2] ?? "").catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});

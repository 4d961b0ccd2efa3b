/** Entry of the ledger's image. Ends in order when it is asked to: requests that have begun are answered. */
import { startLedgerService } from "./service";

const say = (line: string): void => void process.stderr.write(`${line}\n`);

startLedgerService(process.env, say).then(
  (service) => {
    say(`ledger ${service.ledgerKey} on port ${service.port}`);
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => void service.close());
  },
  (error: Error) => {
    say(`ledger: ${error.message}`);
    process.exitCode = 1;
  },
);

import { postgres, sqlite } from "../support/ledger-engines";
import { type PostgresServer, postgresMissing, startPostgres } from "../support/postgres";
import { checkHistories } from "./check";

/** `SEALFLOW_HISTORIES=5000 npm test -- test/model-check`: so many on each engine. */
const asked = Number(process.env.SEALFLOW_HISTORIES ?? 0);
const runs = asked || 1000;

checkHistories(sqlite, runs);

const missing = postgresMissing();
let server: PostgresServer;
beforeAll(async () => {
  if (!missing) server = await startPostgres();
}, 60_000);
afterAll(() => server?.stop());

(missing ? describe.skip : describe)(`PostgreSQL${missing ? ` (${missing})` : ""}`, () => {
  checkHistories(
    postgres(() => server.database()),
    asked || 200,
  );
});

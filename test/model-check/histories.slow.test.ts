import { postgres, sqlite } from "../support/ledger-engines";
import { type PostgresServer, postgresMissing, startPostgres } from "../support/postgres";
import { checkHistories } from "./check";

checkHistories(sqlite, 1000);

const missing = postgresMissing();
let server: PostgresServer;
beforeAll(async () => {
  if (!missing) server = await startPostgres();
}, 60_000);
afterAll(() => server?.stop());

(missing ? describe.skip : describe)(`PostgreSQL${missing ? ` (${missing})` : ""}`, () => {
  checkHistories(
    postgres(() => server.database()),
    200,
  );
});

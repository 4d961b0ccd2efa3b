/** The ledger's connection to a database of the cluster: TLS under the CA in its Secret, which the operator renews. */
import { Client } from "pg";
import { openPostgres } from "../../relying-party/ledger/database/postgres";
import { DAY_MS, makeCa, makeLeaf, type Pair } from "../../relying-party/tls";
import { freePort } from "../support/free-port";
import { type PostgresServer, postgresMissing, startPostgres } from "../support/postgres";

jest.setTimeout(60_000);
const missing = postgresMissing();
if (missing) console.log(`skipped: PostgreSQL over TLS: ${missing}`);

(missing ? describe.skip : describe)("a database that takes TLS alone", () => {
  const now = Date.now();
  const notAfter = new Date(now + DAY_MS);
  let ca: Pair;
  let other: Pair;
  let server: PostgresServer;
  let url: string;

  beforeAll(async () => {
    [ca, other] = [await makeCa({ name: "ours", notAfter, now }), await makeCa({ name: "other", notAfter, now })];
    const leaf = await makeLeaf({ ca, name: "database", hosts: ["localhost"], notAfter, now });
    server = await startPostgres({ tls: { ...leaf, port: await freePort() } });
    url = await server.database();
  });
  afterAll(() => server?.stop());

  it("refuses a client without TLS, so no password is ever sent to it in the open", async () => {
    const client = new Client({ connectionString: url });
    await expect(client.connect()).rejects.toThrow(/reject/);
  });

  it("is used under its CA", async () => {
    const database = await openPostgres({ url, ca: () => ca.certPem });
    expect(await database.read((db) => db.selectFrom("runs").select("run").execute())).toEqual([]);
    await database.close();
  });

  it("is refused when somebody else's CA signed it, or when it answers to another name", async () => {
    await expect(openPostgres({ url, ca: () => other.certPem })).rejects.toThrow(
      /self.signed|unable to|BUSY|certificate/,
    );
    const elsewhere = url.replace("localhost", "127.0.0.1");
    await expect(openPostgres({ url: elsewhere, ca: () => ca.certPem })).rejects.toThrow(/altnames|certificate/i);
  });

  it.each(["sslmode=disable", "sslmode=no-verify", "a=b&ssl=0", "sslrootcert=/other.crt", "%73slmode=disable"])(
    "a URL with %s beside a CA is refused before anything is sent, and is not quoted",
    async (more) => {
      const opened = openPostgres({ url: `${url}?${more}`, ca: () => ca.certPem });
      await expect(opened).rejects.toMatchObject({
        code: "CORRUPT",
        message: expect.stringMatching(/^the database's URL names ssl\w* beside a CA; remove it from the URL$/),
      });
    },
  );

  it("a renewed CA is believed from the next connection on, without a new start", async () => {
    let current = ca.certPem;
    const database = await openPostgres({ url, ca: () => current });
    try {
      await server.kill();
      await server.start();
      current = other.certPem;
      const ask = () => database.read((db) => db.selectFrom("runs").select("run").execute());
      // The connection that was lost is found out by the first.
      await ask().catch(() => undefined);
      await expect(ask()).rejects.toThrow();
      current = ca.certPem;
      expect(await ask()).toEqual([]);
    } finally {
      await database.close();
    }
  });
});

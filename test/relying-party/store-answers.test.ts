/** A store that answers without end, or with anything: a named error, and no more memory than an honest one takes. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Database, openSqlite } from "../../relying-party/ledger/database/open";
import { MAX_PAGES, pagesOf, textOf } from "../../relying-party/ledger/store/answer";
import { AzureApi } from "../../relying-party/ledger/store/azure/api";
import { S3Api } from "../../relying-party/ledger/store/s3/api";
import { S3Store } from "../../relying-party/ledger/store/s3/store";
import { VerifiedObjects } from "../../relying-party/ledger/store/verified";
import { xmlAll, xmlText } from "../../relying-party/ledger/store/xml";
import { type Answer, type Asked, type Issuer, startIssuer } from "../support/issuers";

const RUN = "a".repeat(64);
const NAME = `runs/${RUN}/${"b".repeat(64)}`;
const OTHER = `runs/${"c".repeat(64)}/${"d".repeat(64)}`;
let store: Issuer;
beforeEach(async () => {
  store = await startIssuer(() => ({}));
});
afterEach(() => store.stop());

const place = () => ({
  bucketUrl: `${store.origin}/sealed`,
  region: "us-east-1",
  credentials: async () => ({ accessKeyId: "AKIDTEST", secretAccessKey: "secret" }),
});
/** Says that uploads are known, and remembers what is asked of it beside that. */
const db = (rows: object[] = []): Database => {
  const query: Record<string, unknown> = { execute: async () => rows, executeTakeFirst: async () => rows[0] };
  for (const step of ["selectFrom", "select", "selectAll", "where", "deleteFrom", "insertInto", "values", "onConflict"])
    query[step] = () => query;
  const run = (work: (tx: unknown) => unknown) => work(query);
  return { read: run, write: run } as never;
};
const s3 = (rows?: object[]) => new S3Store({ ...place(), db: db(rows) });
const keys = (...names: string[]) => names.map((name) => `<Contents><Key>${name}</Key></Contents>`).join("");
const answer = (to: (asked: Asked) => Answer) => {
  store.answer = to;
};
const refused = { code: "STORE_ANSWER", message: expect.stringMatching(/is it the store that the ledger was given/) };

it("an answer longer than an honest one is not kept", async () => {
  answer(() => ({ body: "x".repeat(17 * 1024 * 1024) }));
  await expect(s3().deleteRun(RUN, new Set())).rejects.toMatchObject(refused);
  const azure = new AzureApi({ serviceUrl: store.origin, account: "a", container: "c", token: async () => "t" });
  await expect(azure.list("runs/").next()).rejects.toMatchObject(refused);
});

it("an answer without end is left where it is too long", async () => {
  let sent = 0;
  const endless = new ReadableStream({
    pull(controller) {
      sent += 65_536;
      controller.enqueue(new Uint8Array(65_536));
    },
  });
  await expect(textOf(new Response(endless), 1_000_000)).rejects.toMatchObject(refused);
  expect(sent).toBeLessThan(1_500_000);
});

it("an answer that breaks off may be asked for again", async () => {
  const broken = new ReadableStream({ pull: (controller) => controller.error(new TypeError("terminated")) });
  await expect(textOf(new Response(broken))).rejects.toMatchObject({ code: "BUSY" });
  expect(await textOf(new Response("grüße"))).toBe("grüße");
  expect(await textOf(new Response(null))).toBe("");
});

describe("a listing", () => {
  it("is worked off page by page, and holds names of the run alone", async () => {
    const deleted: string[] = [];
    answer(({ method, url }) => {
      const at = new URL(url, store.origin);
      if (method === "DELETE") deleted.push(at.pathname.replace("/sealed/", ""));
      const again = at.searchParams.get("continuation-token") !== null;
      if (method !== "GET") return {};
      return again
        ? { body: keys(OTHER, "../x", `runs/${RUN}/`) }
        : { body: `${keys(NAME)}<NextContinuationToken>2</NextContinuationToken>` };
    });
    await s3().deleteRun(RUN, new Set());
    expect(deleted).toEqual([NAME]);
  });

  it.each([
    ["that does not go on", () => "same"],
    ["without an end", (n: number) => String(n)],
  ])("%s ends in STORE_ANSWER", async (_what, mark) => {
    let asked = 0;
    const listing = pagesOf(async () => ({ names: [NAME], next: mark(asked++) }));
    const all = async () => {
      for await (const _ of listing);
    };
    await expect(all()).rejects.toMatchObject({ code: "STORE_ANSWER" });
    expect(asked).toBeLessThanOrEqual(MAX_PAGES);
  });

  it("of Azure goes on by its marker, and not by the same one", async () => {
    const azure = new AzureApi({ serviceUrl: store.origin, account: "a", container: "c", token: async () => "t" });
    answer(() => ({ body: `<Blobs><Blob><Name>${NAME}</Name></Blob></Blobs><NextMarker>again</NextMarker>` }));
    const listing = azure.list("runs/");
    expect((await listing.next()).value).toEqual([NAME]);
    expect((await listing.next()).value).toEqual([NAME]);
    await expect(listing.next()).rejects.toMatchObject(refused);
  });

  it("of S3 ends with an empty token", async () => {
    answer(() => ({ body: `${keys(NAME)}<NextContinuationToken></NextContinuationToken>` }));
    const found: (readonly string[])[] = [];
    for await (const names of new S3Api(place()).list("runs/")) found.push(names);
    expect(found).toEqual([[NAME]]);
  });
});

describe("parts of an upload", () => {
  const part = (n: number) => `<Part><PartNumber>${n}</PartNumber><ETag>e</ETag><Size>1</Size></Part>`;
  const page = (from: number, count: number, next: number) =>
    `${Array.from({ length: count }, (_, i) => part(from + i)).join("")}<IsTruncated>true</IsTruncated><NextPartNumberMarker>${next}</NextPartNumberMarker>`;

  it.each([
    ["that go back", () => page(1, 1, 0.5), /do not go on/],
    ["more than an upload has", (after: number) => page(after + 1, 1000, after + 1000), /more than 10000 parts/],
  ])("%s end in STORE_ANSWER", async (_what, body, why) => {
    answer(({ url }) => {
      const after = Number(new URL(url, store.origin).searchParams.get("part-number-marker"));
      return { body: body(after) };
    });
    const settled = s3([{ id: "upload" }]).settle(NAME, 5);
    await expect(settled).rejects.toMatchObject({ code: "STORE_ANSWER" });
    await expect(settled).rejects.toThrow(why);
    expect(store.asked.length).toBeLessThan(20);
  });
});

it.each([
  ["longer than it was said to be", 5, /longer than the 5 bytes/],
  ["without a size", Number.NaN, /has no size/],
  ["of a size below nothing", -1, /has no size/],
])("an object %s is not read to its end", async (_what, size, why) => {
  let read = 0;
  const endless = async function* () {
    for (;;) {
      read++;
      yield new Uint8Array(10);
    }
  };
  const dir = mkdtempSync(join(tmpdir(), "store-answers-"));
  const db = await openSqlite(dir);
  try {
    const found = new VerifiedObjects(db).find(NAME, size, async () => endless());
    await expect(found).rejects.toMatchObject({ code: "STORE_ANSWER" });
    await expect(found).rejects.toThrow(why);
    expect(read).toBeLessThanOrEqual(1);
  } finally {
    await db.close();
    rmSync(dir, { recursive: true, force: true });
  }
});

describe("XML", () => {
  it("is read as before: attributes, entities, other elements that begin alike", () => {
    const text = '<L><KeyMarker>no</KeyMarker><Key a="1">x&amp;&#65;&#x42;&AMP;</Key><K>1</K><K b="">2<C/></K></L>';
    expect(xmlText(text, "Key")).toBe("x&AB&");
    expect(xmlText("<A><B/></A><A>text</A>", "A")).toBe("text");
    expect(xmlAll(text, "K")).toEqual(["1", "2<C/>"]);
    expect(xmlText("<A></A>", "A")).toBe("");
    expect([xmlText("<A", "A"), xmlText("<A >", "A"), xmlText("<A>x", "A"), xmlAll("<A>x", "A")]).toEqual([
      undefined,
      undefined,
      undefined,
      [],
    ]);
    // No code point: as it is, instead of an exception.
    expect(xmlText("<A>&#x110000;</A>", "A")).toBe("&#x110000;");
  });

  it.each(["<Contents>", "<Contents ", "<Key>", "</Key>", "<Contents><Key>"])(
    "of a page full of %s takes no longer than its length",
    (text) => {
      const page = text.repeat(Math.floor((8 * 1024 * 1024) / text.length));
      const from = performance.now();
      xmlAll(page, "Contents");
      xmlText(page, "Key");
      // Tried out from every place it takes minutes.
      expect(performance.now() - from).toBeLessThan(3000);
    },
  );
});

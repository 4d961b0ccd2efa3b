/** A table's rows: what verifies is exactly what was signed, whichever rows are shown. */
import fc from "fast-check";
import { jcs } from "../../protocol/canonical";
import { privateKey, publicKey, rawPublic } from "../../protocol/crypto";
import { jwsDigest, peekJws, signJws, verifyJws, verifyPart } from "../../protocol/jws";
import { peekOpening, runIdOf, slotToken } from "../../protocol/opening";
import { json } from "../../protocol/shape";
import { splitTable, Table } from "../../protocol/table";

const TYPE = "sealflow-run+jwt";
const key = privateKey("Ed25519", new Uint8Array(32).fill(7));
const verifier = publicKey("Ed25519", rawPublic(key));
const sign = (parameters: object) => signJws(TYPE, { n: 1, parameters }, key);
const read = (text: string) => verifyPart(TYPE, text, verifier, json);
const name = fc.stringMatching(/^[a-z0-9][a-z0-9]{0,5}$/);
const table = fc.dictionary(name, fc.oneof(fc.string(), fc.record({ a: fc.integer() })), { maxKeys: 40 });

const shown = async (text: string, rows: Record<string, unknown>, names: string[]) =>
  `${splitTable(text).signed}${await (await Table.of(rows)).some(names)}`;

test("any rows shown are the signed ones, and a name without a row is known to have none", async () => {
  await fc.assert(
    fc.asyncProperty(table, fc.array(name, { maxLength: 5 }), async (rows, strangers) => {
      const text = await sign(rows);
      expect(await verifyJws(TYPE, text, verifier, json)).toEqual({ n: 1, parameters: rows });
      const wanted = [...Object.keys(rows).slice(0, 3), ...strangers];
      const part = await shown(text, rows, wanted);
      expect(jwsDigest(part)).toBe(jwsDigest(text));
      const { message, decides } = await read(part);
      const expected = Object.fromEntries(Object.entries(rows).filter(([n]) => wanted.includes(n)));
      expect(message).toEqual({ n: 1, parameters: expected });
      for (const n of wanted) expect(decides(n)).toBe(true);
    }),
    { numRuns: 60 },
  );
});

test("a row that is left out, added, changed, renamed or moved is refused or leaves its name open", async () => {
  await fc.assert(
    fc.asyncProperty(table, name, fc.nat(), async (rows, other, pick) => {
      const names = Object.keys(rows);
      fc.pre(names.length > 1 && !Object.hasOwn(rows, other));
      const text = await sign(rows);
      const victim = names[pick % names.length] as string;
      const { [victim]: value, ...rest } = rows;
      for (const forged of [rest, { ...rows, [other]: 1 }, { ...rows, [victim]: ["x"] }, { ...rest, [other]: value }]) {
        await expect(read(`${splitTable(text).signed}${(await Table.of(forged)).all()}`)).rejects.toMatchObject({
          code: "SIGNATURE",
        });
        const end = await read(await shown(text, forged, [victim])).then(
          ({ message, decides }) => [(message as { parameters: object }).parameters, decides(victim)],
          (error) => error.code,
        );
        // Two shapes of tree can share a path; then what is shown is what was signed.
        if (end !== "SIGNATURE") expect(end[0]).toEqual(Object.hasOwn(end[0], victim) ? { [victim]: value } : {});
        if (end !== "SIGNATURE" && !Object.hasOwn(end[0], victim)) expect(end[1]).toBe(false);
      }
      // Silence and half a proof decide nothing.
      expect((await read(splitTable(text).signed)).decides(victim)).toBe(false);
      const far = [...names].sort().at(victim === [...names].sort().at(-1) ? 0 : -1) as string;
      const half = (await read(await shown(text, rows, [far]))).decides(victim);
      expect(half).toBe(false);
    }),
    { numRuns: 60 },
  );
});

test("where all rows are needed, some are refused", async () => {
  const rows = { a: 1, b: 2, c: 3 };
  const text = await sign(rows);
  for (const part of [splitTable(text).signed, await shown(text, rows, ["a", "b", "c"])]) {
    await expect(verifyJws(TYPE, part, verifier, json)).rejects.toMatchObject({ code: "SHAPE" });
  }
});

test("one table has one text: other spellings, rows behind an empty table or behind other messages are refused", async () => {
  const { signed, beside = "" } = splitTable(await sign({ a: 1 }));
  const spelled = Buffer.from(`${Buffer.from(beside, "base64url")} `).toString("base64url");
  await expect(read(`${signed}~${spelled}`)).rejects.toMatchObject({ code: "SHAPE" });
  await expect(read(`${await sign({})}~${beside}`)).rejects.toMatchObject({ code: "SHAPE" });
  const cancel = await signJws("sealflow-cancel+jwt", { n: 1 }, key);
  await expect(verifyJws("sealflow-cancel+jwt", `${cancel}~${beside}`, verifier, json)).rejects.toMatchObject({
    code: "SHAPE",
  });
  expect(() => peekJws("sealflow-cancel+jwt", `${cancel}~${beside}`, json)).toThrow("has no table");
  const both = Buffer.from(jcs({ all: { a: 1 }, some: {} })).toString("base64url");
  await expect(read(`${signed}~${both}`)).rejects.toMatchObject({ code: "SHAPE" });
});

test("rows in the clear inside the signed part are no table", async () => {
  const inline = await signJws("sealflow-cancel+jwt", { parameters: { a: 1 } }, key);
  const [, payload] = inline.split(".");
  const header = Buffer.from(JSON.stringify({ alg: "EdDSA", typ: TYPE })).toString("base64url");
  const { sign: raw } = await import("node:crypto");
  const signature = raw(null, Buffer.from(`${header}.${payload}`), key).toString("base64url");
  await expect(read(`${header}.${payload}.${signature}`)).rejects.toMatchObject({ code: "SHAPE" });
});

test("a slot of a schedule keeps its run id, whichever rows its schedule shows", async () => {
  const content = {
    v: 1,
    pipelineUid: "0".repeat(64),
    ownerPublicKey: rawPublic(key),
    name: "nightly",
    cron: "0 3 * * *",
    lateSeconds: 60,
    parameters: { a: "a.b.c.d.e", b: "f.g.h.i.j" },
  };
  const text = await signJws("sealflow-schedule+jwt", content, key);
  const part = await shown(text, content.parameters, ["b"]);
  expect(runIdOf(slotToken(part, 600))).toBe(runIdOf(slotToken(text, 600)));
  expect(runIdOf(slotToken(part, 601))).not.toBe(runIdOf(slotToken(text, 600)));
  const opening = peekOpening(slotToken(part, 600));
  expect(opening).toMatchObject({ kind: "slot", slot: 600, schedule: { parameters: { b: "f.g.h.i.j" } } });
});

import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { GeneralEncrypt } from "jose";
import {
  backedUp,
  type KeyBackup,
  openBackup,
  readRestored,
  removeRestored,
  sealBackup,
  writeBackupRecord,
  writeRestored,
} from "../../owner/backup";
import { createRoot, formatRoot, publicFacts } from "../../owner/keys";
import { rawPublic } from "../../protocol/crypto";

const keyPair = () => generateKeyPairSync("x25519").privateKey;
const [mine, second, other] = [keyPair(), keyPair(), keyPair()];
const root = createRoot(Buffer.alloc(32, 3));
const stackUuid = "0".repeat(32);
const backup: KeyBackup = {
  v: 1,
  pipeline: "spam",
  stack: "prod",
  stackUuid,
  pipelineUid: publicFacts(root, stackUuid, "spam").pipelineUid,
  root: formatRoot(root),
};

describe("a backup of keys", () => {
  it("opens with each of its recovery keys, and shows nothing of the root", async () => {
    const sealed = await sealBackup(backup, [rawPublic(mine), rawPublic(second)]);
    expect(sealed).not.toContain(backup.root.slice(-43));
    for (const key of [mine, second]) expect(await openBackup(sealed, key, "b.json")).toEqual(backup);
  });

  it("opens with no other key, and says which ones it is for", async () => {
    const sealed = await sealBackup(backup, [rawPublic(mine)]);
    await expect(openBackup(sealed, other, "b.json")).rejects.toMatchObject({
      code: "BACKUP_KEY",
      message: expect.stringContaining(rawPublic(mine)),
    });
  });

  it("is made for nobody by mistake", async () => {
    await expect(sealBackup(backup, [])).rejects.toMatchObject({ code: "BACKUP_FORM" });
  });

  it("a change of any field is refused", async () => {
    const sealed = JSON.parse(await sealBackup(backup, [rawPublic(mine)]));
    for (const field of ["ciphertext", "iv", "tag", "protected"]) {
      const text = sealed[field] as string;
      const changed = {
        ...sealed,
        [field]: (text[5] === "A" ? "B" : "A").padStart(6, text.slice(0, 5)) + text.slice(6),
      };
      await expect(openBackup(JSON.stringify(changed), mine, "b.json")).rejects.toMatchObject({ code: "BACKUP_KEY" });
    }
  });

  it.each([
    ["not JSON", "hello"],
    ["JSON of another kind", '{"a":1}'],
    ["null", "null"],
  ])("%s is refused as no backup", async (_what, text) => {
    await expect(openBackup(text, mine, "b.json")).rejects.toMatchObject({ code: "BACKUP_FORM" });
  });

  it.each(["../../..", "a/b", "", "..", "A"])("of a stack called %j is refused: names become files", async (stack) => {
    const sealed = await sealBackup({ ...backup, stack }, [rawPublic(mine)]);
    await expect(openBackup(sealed, mine, "b.json")).rejects.toMatchObject({ code: "BACKUP_FORM" });
  });

  it("content that does not fit together is refused, and not quoted", async () => {
    const wrong = { ...backup, pipelineUid: "f".repeat(64) };
    const jwe = await new GeneralEncrypt(Buffer.from(JSON.stringify(wrong)))
      .setProtectedHeader({ enc: "A256GCM", typ: "sealflow-backup.1" })
      .addRecipient(createPublicKey(mine))
      .setUnprotectedHeader({ alg: "ECDH-ES+A256KW", kid: rawPublic(mine) })
      .encrypt();
    const refused = await openBackup(JSON.stringify(jwe), mine, "b.json").catch((error: Error) => error);
    expect(refused).toMatchObject({ code: "BACKUP_FORM" });
    expect(String((refused as Error).stack)).not.toContain(backup.root.slice(-43));
  });
});

describe("restored keys", () => {
  const home = mkdtempSync(path.join(tmpdir(), "sealflow-backup-"));
  const place = { home, stack: "prod", pipeline: "spam" };
  afterAll(() => rmSync(home, { recursive: true }));

  it("wait in a file that others cannot read, once", () => {
    expect(readRestored(place)).toBeUndefined();
    const file = writeRestored(home, backup);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readRestored(place)).toEqual(backup);
    expect(readRestored({ ...place, stack: "dev" })).toBeUndefined();
    chmodSync(file, 0o644);
    expect(() => readRestored(place)).toThrow(/others can read/);
    removeRestored(place);
    expect(readRestored(place)).toBeUndefined();
  });

  it("of another pipeline are refused", () => {
    const file = writeRestored(home, backup);
    writeFileSync(file, JSON.stringify({ ...backup, stackUuid: "1".repeat(32) }), { mode: 0o600 });
    expect(() => readRestored(place)).toThrow(/damaged/);
    removeRestored(place);
  });

  it("that are half written are not quoted", () => {
    const file = writeRestored(home, backup);
    for (const text of [backup.root, `{"root":"${backup.root}`, JSON.stringify({ ...backup, more: backup.root })]) {
      writeFileSync(file, text, { mode: 0o600 });
      expect(() => readRestored(place)).toThrow(/damaged/);
      const refused = (() => {
        try {
          return readRestored(place);
        } catch (error) {
          return `${(error as Error).stack} ${String((error as Error).cause)}`;
        }
      })();
      expect(refused).not.toContain(backup.root.slice(0, 20));
    }
    removeRestored(place);
  });

  it("a backup is remembered by the root's fingerprint", () => {
    expect(backedUp(place)).toBeUndefined();
    writeBackupRecord(place, { pipelineUid: backup.pipelineUid, fingerprint: "a".repeat(64) });
    expect(backedUp(place)).toBe("a".repeat(64));
  });
});

/**
 * Objects in a bucket of any S3 API. Guests and owners send and fetch them by presigned URLs; this process reads, lists
 * and deletes. Large objects come in parts; the ledger puts them together when the commit is there.
 */
import { Readable } from "node:stream";
import type { ReadableStream as WebStream } from "node:stream/web";
import { MAX_PARTS, type ObjectParts } from "../../../../protocol/messages";
import type { Database } from "../../database/open";
import { LedgerError } from "../../errors";
import { PAGE_BYTES, storeAnswer, textOf } from "../answer";
import { bytesOfPart, partCount, partSizeOf } from "../part-size";
import { checkedName, type FoundObject, inBatches, isObjectBelow, type ObjectStore } from "../types";
import { VerifiedObjects } from "../verified";
import { xmlAll, xmlText } from "../xml";
import { S3Api, type S3Place } from "./api";

export interface S3StoreOptions extends S3Place {
  readonly db: Database;
  /** Bytes above which an object comes in parts, and of each part; at least 5 MiB for S3. Default 16 MiB. */
  readonly partBytes?: number;
}

interface Part {
  readonly number: number;
  readonly size: number;
  readonly etag: string;
}

export class S3Store implements ObjectStore {
  readonly #api: S3Api;
  readonly #verified: VerifiedObjects;

  constructor(private readonly options: S3StoreOptions) {
    this.#api = new S3Api(options);
    this.#verified = new VerifiedObjects(options.db);
  }

  url(operation: "put" | "get", name: string, until: number): Promise<string> {
    return this.#api.presigned(operation === "put" ? "PUT" : "GET", checkedName(name), {}, until);
  }

  async parts(name: string, size: number, until: number): Promise<ObjectParts> {
    const partSize = partSizeOf(size, this.options.partBytes);
    const count = partCount(size, partSize);
    if (count === 1) return { partSize, from: 0, urls: [await this.url("put", name, until)] };
    const { uploadId, there } = await this.#upload(checkedName(name));
    const have = there.filter((p) => p.size === bytesOfPart(size, partSize, p.number - 1)).map((p) => p.number);
    let from = 0;
    while (have.includes(from + 1)) from++;
    const urls: string[] = [];
    for (let i = from; i < count; i++) {
      urls.push(await this.#api.presigned("PUT", name, { partNumber: String(i + 1), uploadId }, until));
    }
    return { partSize, from, urls };
  }

  async settle(name: string, size: number): Promise<void> {
    const uploadId = await this.#uploadOf(checkedName(name));
    if (uploadId === undefined) return;
    const parts = await this.#listed(name, uploadId);
    if (!parts) return this.#forgetUpload(name, uploadId);
    if (parts.reduce((sum, p) => sum + p.size, 0) !== size || parts.some((p, i) => p.number !== i + 1)) return;
    const body = parts.map((p) => `<Part><PartNumber>${p.number}</PartNumber><ETag>${p.etag}</ETag></Part>`).join("");
    const answer = await this.#api.call(
      "POST",
      name,
      { uploadId },
      `<CompleteMultipartUpload>${body}</CompleteMultipartUpload>`,
      [404],
    );
    const text = await textOf(answer);
    // S3 may begin with 200 and end with an error.
    if (answer.status === 200 && text.includes("<Error>")) {
      throw new LedgerError(
        "BUSY",
        `object ${name}: the store did not put its parts together (${xmlText(text, "Code")})`,
      );
    }
    await this.#forgetUpload(name, uploadId);
  }

  async stat(name: string): Promise<FoundObject | undefined> {
    const answer = await this.#api.call("HEAD", checkedName(name), {}, undefined, [404]);
    if (answer.status === 404) return undefined;
    const size = Number(answer.headers.get("content-length"));
    return this.#verified.find(name, size, async () => {
      const { body } = await this.#api.call("GET", name, {});
      return body ? Readable.fromWeb(body as WebStream) : Readable.from([]);
    });
  }

  async delete(name: string): Promise<void> {
    const uploadId = await this.#uploadOf(checkedName(name));
    if (uploadId !== undefined) await this.#abort(name, uploadId);
    await textOf(await this.#api.call("DELETE", name, {}, undefined, [404]));
    await this.#verified.forget(name);
  }

  async deleteRun(run: string, keep: ReadonlySet<string>): Promise<void> {
    const prefix = `runs/${run}/`;
    const unfinished = await this.options.db.read((tx) =>
      tx.selectFrom("multiparts").selectAll().where("name", "like", `${prefix}%`).execute(),
    );
    for (const { name, id } of unfinished) await this.#abort(name, id);
    for await (const names of this.#api.list(prefix)) {
      await inBatches(
        names.filter((name) => isObjectBelow(prefix, name) && !keep.has(name)),
        (name) => this.delete(name),
      );
    }
  }

  /** The one upload of an object; begun when there is none, or when the store knows it no more. */
  async #upload(name: string): Promise<{ uploadId: string; there: readonly Part[] }> {
    const known = await this.#uploadOf(name);
    const there = known === undefined ? undefined : await this.#listed(name, known);
    if (known !== undefined && there) return { uploadId: known, there };
    if (known !== undefined) await this.#forgetUpload(name, known);
    const answer = await this.#api.call("POST", name, { uploads: "" });
    const id = xmlText(await textOf(answer), "UploadId");
    if (!id) throw new LedgerError("BUSY", `object ${name}: the store began no upload`);
    await this.options.db.write((tx) =>
      tx
        .insertInto("multiparts")
        .values({ name, id })
        .onConflict((c) => c.doNothing())
        .execute(),
    );
    // Another process may have been first: then that one's counts.
    const uploadId = (await this.#uploadOf(name)) ?? id;
    if (uploadId !== id) await this.#abortAt(name, id);
    return { uploadId, there: [] };
  }

  async #uploadOf(name: string): Promise<string | undefined> {
    const row = await this.options.db.read((tx) =>
      tx.selectFrom("multiparts").select("id").where("name", "=", name).executeTakeFirst(),
    );
    return row?.id;
  }

  async #forgetUpload(name: string, id: string): Promise<void> {
    await this.options.db.write((tx) =>
      tx.deleteFrom("multiparts").where("name", "=", name).where("id", "=", id).execute(),
    );
  }

  async #abort(name: string, id: string): Promise<void> {
    await this.#abortAt(name, id);
    await this.#forgetUpload(name, id);
  }

  async #abortAt(name: string, uploadId: string): Promise<void> {
    await textOf(await this.#api.call("DELETE", name, { uploadId }, undefined, [404]));
  }

  /** In order; undefined when the store knows the upload no more: it was put together or given up. */
  async #listed(name: string, uploadId: string): Promise<readonly Part[] | undefined> {
    const parts: Part[] = [];
    for (let after = 0; ; ) {
      const query = { uploadId, "part-number-marker": String(after), "max-parts": "1000" };
      const answer = await this.#api.call("GET", name, query, undefined, [404]);
      const text = await textOf(answer, PAGE_BYTES);
      if (answer.status === 404) return undefined;
      for (const part of xmlAll(text, "Part")) {
        const number = Number(xmlText(part, "PartNumber"));
        const etag = xmlText(part, "ETag") ?? "";
        parts.push({ number, size: Number(xmlText(part, "Size")), etag: etag.replace(/[<>&]/g, "") });
      }
      if (parts.length > MAX_PARTS) throw storeAnswer(`object ${name} has more than ${MAX_PARTS} parts`);
      const next = Number(xmlText(text, "NextPartNumberMarker") ?? 0);
      if (xmlText(text, "IsTruncated") !== "true" || next === 0) break;
      if (!Number.isInteger(next) || next <= after) throw storeAnswer(`the parts of object ${name} do not go on`);
      after = next;
    }
    return parts.sort((a, b) => a.number - b.number);
  }
}

/**
 * Objects as block blobs. Guests and owners send blocks by signed URLs, also of small objects: what they send is no object
 * until the ledger puts its blocks together, once, when the commit is there; a block that comes later changes nothing.
 */
import { Readable } from "node:stream";
import type { ReadableStream as WebStream } from "node:stream/web";
import { base64, utf8 } from "../../../../protocol/bytes";
import type { ObjectParts } from "../../../../protocol/messages";
import type { Database } from "../../database/open";
import { PAGE_BYTES, textOf } from "../answer";
import { bytesOfPart, partCount, partSizeOf } from "../part-size";
import { checkedName, type FoundObject, inBatches, isObjectBelow, type ObjectStore } from "../types";
import { VerifiedObjects } from "../verified";
import { xmlAll, xmlText } from "../xml";
import { AzureApi, type AzurePlace } from "./api";

export interface AzureBlobStoreOptions extends AzurePlace {
  readonly db: Database;
  /** Bytes above which an object comes in parts, and of each part. Default 16 MiB. */
  readonly partBytes?: number;
}

/** All of a blob's ids have one length. */
const blockId = (index: number): string => base64(utf8(String(index).padStart(6, "0")));
const EMPTY_LIST = '<?xml version="1.0" encoding="utf-8"?><BlockList></BlockList>';

export class AzureBlobStore implements ObjectStore {
  readonly #api: AzureApi;
  readonly #verified: VerifiedObjects;

  constructor(private readonly options: AzureBlobStoreOptions) {
    this.#api = new AzureApi(options);
    this.#verified = new VerifiedObjects(options.db);
  }

  url(operation: "put" | "get", name: string, until: number): Promise<string> {
    return operation === "put" ? this.#blockUrl(name, 0, until) : this.#api.signed("r", checkedName(name), {}, until);
  }

  async parts(name: string, size: number, until: number): Promise<ObjectParts> {
    const partSize = partSizeOf(size, this.options.partBytes);
    const count = partCount(size, partSize);
    if (count === 1) return { partSize, from: 0, urls: [await this.#blockUrl(name, 0, until)] };
    const there = await this.#waiting(checkedName(name));
    let from = 0;
    while (from < count && there.get(blockId(from)) === bytesOfPart(size, partSize, from)) from++;
    const urls: string[] = [];
    for (let i = from; i < count; i++) urls.push(await this.#blockUrl(name, i, until));
    return { partSize, from, urls };
  }

  async settle(name: string, size: number): Promise<void> {
    const there = await this.#waiting(checkedName(name));
    const ids: string[] = [];
    let left = size;
    // Those that make up the size, from the first on: a place allows other blocks, too, which are dropped.
    for (let i = 0; left > 0; i++) {
      const bytes = there.get(blockId(i));
      if (bytes === undefined) return;
      ids.push(blockId(i));
      left -= bytes;
    }
    if (left !== 0) return;
    const list = ids.map((id) => `<Uncommitted>${id}</Uncommitted>`).join("");
    const body = EMPTY_LIST.replace("></BlockList>", `>${list}</BlockList>`);
    // Never over an object that is there: it may be committed already.
    const headers = { "if-none-match": "*" };
    await textOf(
      await this.#api.call("PUT", name, { query: { comp: "blocklist" }, headers, body, accept: [409, 412] }),
    );
  }

  async stat(name: string): Promise<FoundObject | undefined> {
    const answer = await this.#api.call("HEAD", checkedName(name), { accept: [404] });
    if (answer.status === 404) return undefined;
    return this.#verified.find(name, Number(answer.headers.get("content-length")), async () => {
      const { body } = await this.#api.call("GET", name);
      return body ? Readable.fromWeb(body as WebStream) : Readable.from([]);
    });
  }

  async delete(name: string): Promise<void> {
    if (!(await this.#remove(checkedName(name)))) {
      // Blocks without an object would lie there for a week: made an empty one, they are gone.
      if ((await this.#waiting(name)).size > 0) {
        await textOf(await this.#api.call("PUT", name, { query: { comp: "blocklist" }, body: EMPTY_LIST }));
        await this.#remove(name);
      }
    }
    await this.#verified.forget(name);
  }

  async deleteRun(run: string, keep: ReadonlySet<string>): Promise<void> {
    const prefix = `runs/${run}/`;
    for await (const names of this.#api.list(prefix)) {
      await inBatches(
        names.filter((name) => isObjectBelow(prefix, name) && !keep.has(name)),
        (name) => this.delete(name),
      );
    }
  }

  /** @returns whether there was one. */
  async #remove(name: string): Promise<boolean> {
    const answer = await this.#api.call("DELETE", name, {
      headers: { "x-ms-delete-snapshots": "include" },
      accept: [404],
    });
    await textOf(answer);
    return answer.status !== 404;
  }

  #blockUrl(name: string, index: number, until: number): Promise<string> {
    return this.#api.signed("w", checkedName(name), { comp: "block", blockid: blockId(index) }, until);
  }

  /** Sizes of blocks that belong to no object yet, by their ids. */
  async #waiting(name: string): Promise<ReadonlyMap<string, number>> {
    const query = { comp: "blocklist", blocklisttype: "uncommitted" };
    const answer = await this.#api.call("GET", name, { query, accept: [404] });
    const text = await textOf(answer, PAGE_BYTES);
    if (answer.status === 404) return new Map();
    const inside = xmlAll(text, "UncommittedBlocks")[0] ?? "";
    return new Map(
      xmlAll(inside, "Block").map((block) => [xmlText(block, "Name") ?? "", Number(xmlText(block, "Size"))] as const),
    );
  }
}

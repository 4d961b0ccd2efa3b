/** What is read of a store's answers: never more than an honest store sends. */
import { LedgerError } from "../errors";

/** Of an answer that is a word or two, bytes. */
const SMALL = 1024 * 1024;
/** Of a page of a listing, bytes: Azure lists 5000 names, or all 100 000 blocks of one object. */
export const PAGE_BYTES = 16 * 1024 * 1024;
/** Pages of one listing. What is more is listed by the next sweep: a page is worked off before the next is asked for. */
export const MAX_PAGES = 1000;

export const storeAnswer = (what: string): LedgerError =>
  new LedgerError("STORE_ANSWER", `object store: ${what}; is it the store that the ledger was given?`);

/**
 * An answer's text.
 * @throws LedgerError STORE_ANSWER when it is longer than `most` bytes; BUSY when it breaks off.
 */
export async function textOf(answer: Response, most = SMALL): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  try {
    for await (const chunk of (answer.body ?? []) as AsyncIterable<Uint8Array>) {
      size += chunk.length;
      // Leaving the loop ends the connection.
      if (size > most) throw storeAnswer(`an answer is longer than ${most} bytes`);
      text += decoder.decode(chunk, { stream: true });
    }
  } catch (error) {
    if (error instanceof LedgerError) throw error;
    throw new LedgerError("BUSY", `object store: an answer broke off (${(error as Error).name})`, { cause: error });
  }
  return text + decoder.decode();
}

/**
 * Names of a listing, page by page.
 * @param page asks for what follows a mark; `next` is undefined after the last.
 * @throws LedgerError STORE_ANSWER for marks that lead nowhere and for more than MAX_PAGES.
 */
export async function* pagesOf(
  page: (mark: string | undefined) => Promise<{ names: readonly string[]; next: string | undefined }>,
  most = MAX_PAGES,
): AsyncGenerator<readonly string[]> {
  let mark: string | undefined;
  for (let n = 0; n < most; n++) {
    const { names, next } = await page(mark);
    yield names;
    if (next === undefined) return;
    if (next === mark) throw storeAnswer("a listing does not go on");
    mark = next;
  }
  throw storeAnswer(`a listing has more than ${most} pages`);
}

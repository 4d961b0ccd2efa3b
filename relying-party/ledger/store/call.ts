/** One request to a store, tried again while that may help. What the store says is nobody's word; errors hold its code only. */
import { LedgerError } from "../errors";

/** Milliseconds before each further try. */
const PAUSES = [200, 1000, 3000];
/** Milliseconds that one try may take. */
export const CALL_MS = 60_000;

export interface StoreCall {
  /** Method and name, for messages. */
  readonly what: string;
  /** One try. */
  readonly once: () => Promise<Response>;
  /** Statuses besides 2xx that are an answer. Default: none. */
  readonly accept?: readonly number[] | undefined;
  /** What is wrong, by the store's word; the body of a refusal is read for nothing else. */
  readonly why: (answer: Response) => Promise<Refusal>;
}

export interface Refusal {
  /** The store's own word. */
  readonly code?: string | undefined;
  /** What to do, in words of ours. */
  readonly remedy?: string | undefined;
  /** Whether it may pass by itself. @default for statuses of 500 and above, and 429 */
  readonly later?: boolean | undefined;
}

/** @throws LedgerError BUSY when the store does not answer, STORE_REFUSED when it says no. */
export async function callStore({ what, once, accept = [], why }: StoreCall): Promise<Response> {
  for (let n = 0; ; n++) {
    const pause = PAUSES[n];
    try {
      const answer = await once();
      if (answer.ok || accept.includes(answer.status)) return answer;
      const { code, remedy, later = answer.status >= 500 || answer.status === 429 } = await why(answer);
      const said =
        `object store: ${what}: answered ${answer.status}${code === undefined ? "" : ` ${code.slice(0, 60)}`}` +
        `${remedy === undefined ? "" : `: ${remedy}`}`;
      if (!later) throw new LedgerError("STORE_REFUSED", said);
      if (pause === undefined) throw new LedgerError("BUSY", said);
    } catch (error) {
      if (error instanceof LedgerError) throw error;
      const { cause, name: kind } = error as Error;
      const reason = (cause as NodeJS.ErrnoException | undefined)?.code ?? kind;
      const text = `object store: ${what}: cannot be reached (${reason})`;
      if (pause === undefined) throw new LedgerError("BUSY", text, { cause: error });
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

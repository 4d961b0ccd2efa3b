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
  /** The store's word for what is wrong; its body is read for nothing else. */
  readonly codeOf: (answer: Response) => Promise<string | undefined>;
}

/** @throws LedgerError BUSY when the store does not answer, STORE_REFUSED when it says no. */
export async function callStore({ what, once, accept = [], codeOf }: StoreCall): Promise<Response> {
  for (let n = 0; ; n++) {
    const pause = PAUSES[n];
    try {
      const answer = await once();
      if (answer.ok || accept.includes(answer.status)) return answer;
      const code = await codeOf(answer);
      const said = `object store: ${what}: answered ${answer.status}${code === undefined ? "" : ` ${code.slice(0, 60)}`}`;
      if (answer.status < 500 && answer.status !== 429) throw new LedgerError("STORE_REFUSED", said);
      if (pause === undefined) throw new LedgerError("BUSY", said);
    } catch (error) {
      if (error instanceof LedgerError) throw error;
      const { cause, name: kind } = error as Error;
      const why = (cause as NodeJS.ErrnoException | undefined)?.code ?? kind;
      const text = `object store: ${what}: cannot be reached (${why})`;
      if (pause === undefined) throw new LedgerError("BUSY", text, { cause: error });
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/** Whoever gives out credentials said no; later is worth a try only when the fault was its own. */
export const noCredentials = (status: number, why: string): LedgerError =>
  new LedgerError(status >= 500 || status === 429 ? "BUSY" : "STORE_REFUSED", `object store: ${why} (${status})`);

import { SealflowError } from "../../protocol/errors";

/**
 * The ledger said no. `code` is the ledger's own (relying-party/ledger/errors.ts) or a code of protocol/errors.ts;
 * ANSWER: the server answered with something that is no answer of a ledger.
 */
export class LedgerRefusal extends SealflowError {
  constructor(
    code: string,
    message: string,
    /** HTTP status; 500 and above: the same bytes may be sent again later. */
    readonly status: number,
  ) {
    super(code, message);
  }
}

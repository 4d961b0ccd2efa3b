/**
 * A schedule (JWS `sealflow-schedule+jwt`, signed by the owner): at which times anybody may open a run, without a key.
 * A version that lists its digest allows it. runId = SHA-256(`<compact JWS>|<slot>`), so a slot opens at most one run,
 * whoever asks and however often, and also across versions.
 */
import { NAME } from "../names";
import { type Infer, integer, literal, object, record, text } from "../shape";
import { hex32, jwe, key32, name } from "./common";

/** Five fields in UTC: minute, hour, day, month, weekday. Numbers, `*`, `,`, `-`, `/`, and names such as MON, JAN. */
export const CRON = /^(?:[0-9*,/-]|[A-Z]{3})+(?: (?:[0-9*,/-]|[A-Z]{3})+){4}$/;

export const schedule = object({
  v: literal(1),
  pipelineUid: hex32,
  /** Signs the schedule. */
  ownerPublicKey: key32,
  name,
  /** Whose minutes are the slots; always UTC, since zones change from one machine's tables to another's. */
  cron: text({ pattern: CRON, what: "five cron fields (UTC)", max: 200 }),
  /** Seconds after its time within which a slot may still be opened, by the ledger's clock. */
  lateSeconds: integer(60, 31_536_000),
  /** Table. Step → JWE, as in a run request; the same for every slot. */
  parameters: record(NAME, jwe, 5000),
});
export type Schedule = Infer<typeof schedule>;

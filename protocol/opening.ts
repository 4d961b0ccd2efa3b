/**
 * The text that opens a run and whose SHA-256 is the run's id: a run request (compact JWS), or a schedule and one of its
 * slots, `<compact JWS>|<slot in seconds>`. `|` occurs in no JWS, so neither can be read as the other.
 */
import { ProtocolError } from "./errors";
import { jwsDigest, peekJws } from "./jws";
import { type RunRequest, runRequest, type Schedule, schedule } from "./messages";
import { slotBefore } from "./slots";

const SLOT = /^(?:0|[1-9][0-9]{0,9})$/;

/** What opens a run, unverified. */
export type Opening =
  | { readonly kind: "request"; readonly token: string; readonly request: RunRequest }
  | { readonly kind: "slot"; readonly token: string; readonly schedule: Schedule; readonly slot: number };

/** Which token opens slot X: send it as `token` to `POST /v1/runs`. It holds no secret. @param slot seconds since 1970. */
export const slotToken = (scheduleJws: string, slot: number): string => `${scheduleJws}|${slot}`;

/** The token that opens the newest slot due at `now` (seconds); undefined when there is none. */
export function dueSlotToken(scheduleJws: string, now: number): string | undefined {
  const slot = slotBefore(peekJws("sealflow-schedule+jwt", scheduleJws, schedule).cron, now);
  return slot === undefined ? undefined : slotToken(scheduleJws, slot);
}

/** runId = SHA-256 of the opening's text, hex. */
export const runIdOf = (opening: string): string => jwsDigest(opening);

/** Reads without verifying. @throws ProtocolError SHAPE. */
export function peekOpening(text: string): Opening {
  const [token = "", slot, ...rest] = text.split("|");
  if (slot === undefined) return { kind: "request", token, request: peekJws("sealflow-run+jwt", token, runRequest) };
  if (rest.length > 0 || !SLOT.test(slot)) {
    throw new ProtocolError("SHAPE", "opening of a run: expected <schedule>|<seconds since 1970>");
  }
  return {
    kind: "slot",
    token,
    schedule: peekJws("sealflow-schedule+jwt", token, schedule),
    slot: Number(slot),
  };
}

/** What a run's steps get, whichever way it was opened. A slot has seen no head: freshness is the guest's nonce. */
export interface RunContent {
  readonly pipelineUid: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly head: string | null;
  readonly imports: NonNullable<RunRequest["imports"]>;
}

export const contentOf = (opening: Opening): RunContent =>
  opening.kind === "request"
    ? {
        pipelineUid: opening.request.pipelineUid,
        parameters: opening.request.parameters,
        head: opening.request.head,
        imports: opening.request.imports ?? {},
      }
    : {
        pipelineUid: opening.schedule.pipelineUid,
        parameters: opening.schedule.parameters,
        head: null,
        imports: {},
      };

import { SealflowError } from "../../protocol/errors";

/**
 * Append only. RUNNING: a relying party already serves this folder; use it, or stop it. PORT_TAKEN: another program
 * listens on the port that the guests' identities pin. NOT_RUNNING: nothing to stop. START_FAILED: the background
 * process ended or did not become ready; its log says why. STATE: a file of the state folder is damaged. CLOSED: the
 * services were told to stop.
 */
export type DevCode = "RUNNING" | "PORT_TAKEN" | "NOT_RUNNING" | "START_FAILED" | "STATE" | "STOP_FAILED";
export class DevError extends SealflowError<DevCode> {}

/** What a test lets go wrong in a stand-in cloud, in the cloud's own words. */
import type { Call, Store } from "./store";

export interface Fault {
  readonly on: Call["method"];
  /** Type token or Pulumi's name; default: any. */
  readonly of?: string;
  /** Matching calls that go well before. Default 0. */
  readonly after?: number;
  /** How often it happens. Default 1; null: for good. */
  readonly times?: number | null;
  /** `slow`: takes `ms` and goes well. */
  readonly kind: "quota" | "conflict" | "denied" | "slow";
  /** Default 500. */
  readonly ms?: number;
}

const WORDS: Readonly<Record<Exclude<Fault["kind"], "slow">, string>> = {
  quota: "QuotaExceeded: Operation could not be completed as it results in exceeding approved cores quota",
  conflict: "409 Conflict: another operation on this or a dependent resource is in progress",
  denied: "403 AuthorizationFailed: the client does not have authorization to perform this action",
};

/** Counts a call against the faults. @throws Error when one strikes. */
export async function strike(store: Store, method: Call["method"], type: string, name: string): Promise<void> {
  const faults = store.faults;
  const struck = faults.find(
    ({ on, of, times = 1 }) => on === method && (of === undefined || of === type || of === name) && times !== 0,
  );
  if (!struck) return;
  const { after = 0, times = 1 } = struck;
  const next: Fault =
    after > 0 ? { ...struck, after: after - 1 } : { ...struck, times: times === null ? null : times - 1 };
  store.faults = faults.map((fault) => (fault === struck ? next : fault));
  if (after > 0) return;
  if (struck.kind === "slow") await new Promise((resolve) => setTimeout(resolve, struck.ms ?? 500));
  else throw new Error(WORDS[struck.kind]);
}

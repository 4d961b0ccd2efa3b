/** How long runs can be read; the same for every kind of storage. */
export const RETENTION = { least: 60, most: 315_360_000, usual: 2_592_000 } as const;

/** @returns one line when it is no such number of seconds. */
export const retentionProblems = (seconds: number): string[] =>
  Number.isInteger(seconds) && seconds >= RETENTION.least && seconds <= RETENTION.most
    ? []
    : [`retentionSeconds: ${seconds} is not a whole number from ${RETENTION.least} to ${RETENTION.most}`];

/** Whole days after which a store may drop a run's objects by itself: never before the ledger does. */
export const expiryDays = (seconds: number): number => Math.ceil(seconds / 86_400) + 1;

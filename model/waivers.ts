/**
 * Arguments that turn a protection off. Each takes a reason as its value, and each is part of what it weakens, so it shows
 * in previews. Production stacks refuse all of them (policy-pack/). A new argument of this kind belongs into this list, or
 * has a name that begins with `acknowledge`.
 */

export interface Waiver {
  /** Name of the argument, wherever it stands. */
  readonly argument: string;
  /** What no longer holds. */
  readonly gives: string;
}

export const WAIVERS: readonly Waiver[] = [
  { argument: "trustProgram", gives: "the step's program runs beside the runner and could read its keys" },
  { argument: "trustPrograms", gives: "every step's program runs beside the runner and could read its keys" },
  { argument: "acceptRollback", gives: "the host can roll the step's scratch disk back while it runs" },
  { argument: "allowUnsafeFormat", gives: "the file can hold code that runs when it is opened" },
  { argument: "debug", gives: "the host reads logs of guests and runs commands in them" },
  { argument: "unpinnedRunner", gives: "the runner layer may hold other packages than the pinned ones" },
  { argument: "acceptSimulatedGuests", gives: "the key broker gives keys to guests that no hardware vouches for" },
  {
    argument: "plainHttp",
    gives: "the registry is spoken to without TLS, so anybody between can read along and answer in its place",
  },
  { argument: "debugGuests", gives: "the host can read the guest's logs and run commands in it" },
];

const ACKNOWLEDGED = /^acknowledge[A-Z]/;

/** @returns what setting this argument gives up; undefined: it is no waiver. */
export function waived(argument: string): string | undefined {
  const known = WAIVERS.find((waiver) => waiver.argument === argument);
  if (known) return known.gives;
  return ACKNOWLEDGED.test(argument) ? "a weakness of the platform is accepted instead of refused" : undefined;
}

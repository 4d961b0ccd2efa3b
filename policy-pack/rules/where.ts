import type { Seen } from "../types";

/** A place inside of a resource, for people: `spam-workload (spec.templates[0])`. */
export const where = ({ name }: Seen, at: string): string => (at === "" ? name : `${name} (${at})`);

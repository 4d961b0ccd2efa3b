/** Arguments that turn a protection off are for trying things out. */
import { waived } from "../../model/waivers";
import type { Rule, Seen, Violation } from "../types";

export const noWaivers: Rule = {
  name: "sealflow-no-waivers-in-production",
  description: "Production stacks set no argument that turns a protection off.",
  reason: "each such argument gives up a guarantee that receipts and reports speak of",
  remedy: "remove the argument and what made it necessary, or deploy to a stack that is not production",
  check: (resource, { production }) => (production ? waiversOf(resource) : []),
};

const DEPTH = 8;

function waiversOf({ type, name, urn, props }: Seen): Violation[] {
  if (!type.startsWith("sealflow:")) return [];
  return found(props, "", 0).map(({ at, gives }) => ({ urn, message: `${name}: ${at}: ${gives}` }));
}

function found(value: unknown, at: string, depth: number): { at: string; gives: string }[] {
  if (depth > DEPTH || typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, field]) => {
    const path = Array.isArray(value) ? `${at}[${key}]` : at === "" ? key : `${at}.${key}`;
    const gives = Array.isArray(value) ? undefined : waived(key);
    if (gives !== undefined && isSet(field)) return [{ at: path, gives }];
    return found(field, path, depth + 1);
  });
}

const isSet = (value: unknown): boolean => value !== undefined && value !== null && value !== false && value !== "";

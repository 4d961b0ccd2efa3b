import { waived } from "../model/waivers";

/**
 * The arguments of a component that turn a protection off, as its own inputs: a preview shows them, and policy packs
 * (which see what is registered, not what a constructor was given) find them. Nothing else of the arguments is registered.
 */
export function waiversOf(args: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(args).flatMap(([name, value]: [string, unknown]) => {
      if (value === undefined || value === false) return [];
      if (waived(name) !== undefined) return [[name, value]];
      const inside = isPlain(value) ? waiversOf(value) : {};
      return Object.keys(inside).length > 0 ? [[name, inside]] : [];
    }),
  );
}

/** Not outputs, resources and providers, which are more than data. */
const isPlain = (value: unknown): value is object =>
  typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;

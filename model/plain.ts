/** Reading values that may be anything. */

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Own fields of an object; nothing for any other value. */
export const entries = (value: unknown): [string, unknown][] => (isObject(value) ? Object.entries(value) : []);

/** Shapes of protocol/ as checks of inputs, so that a mistake is told before anything is done. */
import { ProtocolError } from "../protocol/errors";
import { parse, type Shape } from "../protocol/shape";
import type { Failure } from "./server/definition";

/** @param news what is known. @returns one failure for each input that is not of its shape, with all its problems. */
export function shapeFailures(news: object, shapes: Readonly<Record<string, Shape<unknown>>>): Failure[] {
  return Object.entries(shapes).flatMap(([property, shape]): Failure[] => {
    const value = (news as Record<string, unknown>)[property];
    if (value === undefined) return [];
    try {
      parse(shape, value, property);
      return [];
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      return [{ property, reason: error.message }];
    }
  });
}

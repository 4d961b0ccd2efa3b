import { homedir } from "node:os";
import * as path from "node:path";
import type { Context } from "./server/context";

/** What is kept between projects and can be made again: SEALFLOW_CACHE, else ~/.cache/sealflow (XDG_CACHE_HOME). */
export function cacheRoot({ env }: Pick<Context, "env">): string {
  if (env.SEALFLOW_CACHE) return env.SEALFLOW_CACHE;
  return path.join(env.XDG_CACHE_HOME || path.join(homedir(), ".cache"), "sealflow");
}

/** Limits for sealing, shared by all resources of this process. */
import { availableParallelism, totalmem } from "node:os";
import { Semaphore } from "./semaphore";

/** Streams and compression of one sealing stay below this, bytes. */
const MEMORY_EACH = 512 * 1024 * 1024;

/** Ciphers and hashes keep a core busy each. */
export const sealing = new Semaphore(Math.min(availableParallelism(), Math.floor(totalmem() / 2 / MEMORY_EACH)));

/** Makes the world of the attacks from the ground that the caller gives. */
import { randomBytes } from "node:crypto";
import { cpSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { peekJws } from "../../../protocol/jws";
import { type Descriptor, descriptor } from "../../../protocol/messages";
import { parseEdgeName } from "../../../protocol/names";
import { createNode } from "../../node";
import type { Ground, GuestEnd, GuestOptions, Target, World } from "../types";

export interface MadeWorld {
  readonly world: World;
  /** What attackers saw since the last call. */
  takeSeen(): (string | Uint8Array)[];
}

/** @throws Error when the pipeline has no edge to attack. */
export async function makeWorld(ground: Ground): Promise<MadeWorld> {
  const { home, connection } = ground;
  const d = peekJws("sealflow-descriptor+jwt", connection.descriptor, descriptor);
  const order = orderOf(d);
  const target = targetOf(d, order);
  const base = await ground.save();
  const reached = new Map<string, { state: string; run: string }>();
  let seen: (string | Uint8Array)[] = [];
  let fetched: string | undefined;

  const job = (step: string) =>
    JSON.parse(readFileSync(join(home, "backend", connection.stack, connection.name, `${step}.job.json`), "utf8"));

  async function guest(manifest: unknown, options: GuestOptions = {}): Promise<GuestEnd> {
    const { run, signal, onStage, route = routeTo(ground) } = options;
    const node = createNode({ home, connection, mode: "namespaces", route });
    try {
      const end = await node.runJob(manifest, {
        ...(run === undefined ? {} : { runHint: run }),
        ...(signal ? { signal } : {}),
        onEvent: ({ stage }) => onStage?.(stage),
      });
      seen.push(JSON.stringify(end));
      const word = end.exitCode === 0 ? (end.end ?? "silent").toUpperCase() : (end.code ?? `EXIT_${end.exitCode}`);
      return { code: word, exitCode: end.exitCode };
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      if (code === undefined) throw error;
      seen.push(message);
      return { code, exitCode: 1 };
    }
  }

  /** Restores a state that was reached before, or reaches it once with honest guests. */
  async function reach(name: string, steps: readonly string[]): Promise<string> {
    const known = reached.get(name);
    if (known) {
      await ground.restore(known.state);
      return known.run;
    }
    await ground.restore(base);
    const run = await ground.owner.openRun();
    for (const step of steps) {
      const shards = d.steps[step]?.limits.shards ?? 1;
      for (let shard = 0; shard < shards; shard++) {
        const end = await guest(job(step), { run });
        if (end.code !== "COMMITTED") throw new Error(`step ${step} of an honest run ended with ${end.code}`);
      }
    }
    reached.set(name, { state: await ground.save(), run });
    return run;
  }

  const world: World = {
    ...ground,
    descriptor: d,
    target,
    order,
    job,
    guest,
    fresh: () => ground.restore(base),
    ready: () => reach("ready", target.before),
    done: () => reach("done", order),
    async folder() {
      const run = await world.done();
      const copy = join(await world.scratch(), "run");
      if (fetched === undefined) {
        fetched = join(await world.scratch(), "run");
        const findings = await ground.owner.fetch(run, fetched);
        if (findings.length > 0) throw new Error(`an honest run does not verify: ${findings.join(", ")}`);
      }
      cpSync(fetched, copy, { recursive: true });
      return copy;
    },
    async scratch() {
      const folder = join(home, "attacker", randomBytes(6).toString("hex"));
      await mkdir(folder, { recursive: true });
      return folder;
    },
    sees: (what) => void seen.push(what),
  };
  return {
    world,
    takeSeen() {
      const all = seen;
      seen = [];
      return all;
    },
  };
}

/** Guests have the deployed addresses in their identity; the copy's services listen elsewhere. */
export function routeTo({ connection, kbs, ledger }: Ground): (port: number) => number {
  const ports = new Map([
    [Number(new URL(connection.kbsUrl).port), kbs.port],
    [Number(new URL(connection.ledgerUrl).port), ledger.port],
  ]);
  return (port) => ports.get(port) ?? port;
}

const producersOf = (d: Descriptor, step: string): string[] =>
  Object.values(d.steps[step]?.inputs ?? {}).flatMap(({ from }) => (from ? [parseEdgeName(from).step] : []));

function orderOf(d: Descriptor): string[] {
  const order: string[] = [];
  const visit = (step: string): void => {
    if (order.includes(step)) return;
    for (const producer of producersOf(d, step)) visit(producer);
    order.push(step);
  };
  for (const step of Object.keys(d.steps).sort()) visit(step);
  return order;
}

function targetOf(d: Descriptor, order: readonly string[]): Target {
  const before = (step: string): Set<string> =>
    new Set(producersOf(d, step).flatMap((producer) => [...before(producer), producer]));
  const found = order
    .flatMap((consumer) =>
      Object.entries(d.steps[consumer]?.inputs ?? {}).flatMap(([input, { from }]) => {
        if (from === undefined) return [];
        const { step: producer, output } = parseEdgeName(from);
        const all = before(consumer);
        return [{ consumer, input, producer, output, before: order.filter((s) => all.has(s)) }];
      }),
    )
    .sort((a, b) => a.before.length - b.before.length);
  const [target] = found;
  if (!target) throw new Error("the pipeline has no step that reads another's output: there is no edge to attack");
  return target;
}

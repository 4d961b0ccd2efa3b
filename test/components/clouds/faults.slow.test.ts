/**
 * Every call of everything that is made in both clouds goes wrong in turn, in the clouds' own words: platforms, new and
 * adopted, confidential nodes, storage. One stack has all, to save time.
 */
import * as path from "node:path";
import type { Fault } from "../../support/cloud-providers/faults";
import type { Store } from "../../support/cloud-providers/store";
import { EngineStack } from "../../support/engine-stack";
import { layersOf } from "../../support/graph";
import { give, onlyGiven } from "./given";

const WORDS = /QuotaExceeded|409 Conflict|403 AuthorizationFailed/;
const KINDS = ["quota", "conflict", "denied"] as const;

let stack: EngineStack;
/** Each cloud with the names of all its resources. */
let clouds: { readonly store: Store; readonly names: readonly string[] }[];

/** Resources that fail together: none needs another one, so all are tried; and each round has others that go well. */
let rounds: string[][];

beforeAll(async () => {
  stack = await EngineStack.create({ module: path.join(__dirname, "programs.ts") });
  give(stack.cloud("azure-native"), stack.cloud("aws"));
  await stack.program("everything");
  expect(await stack.up()).toMatchObject({ ok: true });
  clouds = ["azure-native", "aws"].map((pkg) => {
    const store = stack.cloud(pkg);
    return { store, names: made(store) };
  });
  rounds = roundsOf(layersOf(stack.state()));
}, 120_000);
afterAll(() => stack?.close());

/** Two for each layer, so that the neighbours of what fails are there. */
const roundsOf = (layers: readonly string[][]): string[][] =>
  layers
    .flatMap((layer) => [layer.filter((_, i) => i % 2 === 0), layer.filter((_, i) => i % 2 === 1)])
    .filter((round) => round.length > 0);

/** What was given has no name. */
const made = (store: Store): string[] => store.all().flatMap(({ name }) => name || []);

const left = (): string[] => clouds.flatMap(({ store }) => made(store));

/** Each call of a kind fails once. @returns how often the step was tried until it went well. */
async function failOnce(on: Fault["on"], step: () => Promise<{ ok: boolean; text: string }>): Promise<number> {
  for (const { store, names } of clouds) {
    store.faults = names.map((of, i) => ({ on, of, kind: KINDS[i % KINDS.length] ?? "quota" }));
  }
  const most = clouds.flatMap(({ names }) => names).length;
  for (let tries = 1; tries <= most + 1; tries++) {
    const { ok, text } = await step();
    if (ok) return tries;
    expect(text).toMatch(WORDS);
  }
  throw new Error(`not done after ${most + 1} tries`);
}

const unstruck = (): Fault[] => clouds.flatMap(({ store }) => store.faults.filter(({ times }) => times !== 0));

test("the platforms have enough calls for this to mean something", () => {
  expect(clouds.map(({ names }) => names.length > 18)).toEqual([true, true]);
});

test("each delete fails once: the next destroy goes on, and the last leaves nothing", async () => {
  expect(await failOnce("delete", stack.destroy)).toBeGreaterThan(1);
  expect(unstruck()).toEqual([]);
  expect(left()).toEqual([]);
}, 600_000);

test("each create fails once: the next up goes on, and the last is complete", async () => {
  expect(await failOnce("create", () => stack.up())).toBeGreaterThan(1);
  expect(unstruck()).toEqual([]);
  expect(left().sort()).toEqual(clouds.flatMap(({ names }) => names).sort());
  expect(await stack.preview("--expect-no-changes")).toMatchObject({ ok: true });
  expect(await stack.destroy()).toMatchObject({ ok: true });
}, 600_000);

test("each create fails for good: destroy cleans up what there is", async () => {
  if (left().length > 0) expect(await stack.destroy()).toMatchObject({ ok: true });
  const struck = new Set<string>();
  for (const round of rounds) {
    for (const { store, names } of clouds) {
      const failing = names.filter((name) => round.includes(name));
      store.faults = failing.map((of) => ({ on: "create", of, kind: "denied", times: null }));
      for (const name of failing) struck.add(`${store.dir} ${name}`);
    }
    // The rest goes on, so that every call of the round is reached.
    const { ok, text } = await stack.up("--continue-on-error");
    expect({ round, ok }).toEqual({ round, ok: false });
    const failed = round.filter((name) => new RegExp(`\\(${name}\\):\\s+error: .*403 AuthorizationFailed`).test(text));
    expect(failed).toEqual(round);
    expect({ round, ...(await stack.destroy()), left: left() }).toMatchObject({ round, ok: true, left: [] });
  }
  expect(clouds.map(({ store }) => onlyGiven(store))).toEqual([true, true]);
  expect(struck.size).toBe(clouds.flatMap(({ names }) => names).length);
}, 900_000);

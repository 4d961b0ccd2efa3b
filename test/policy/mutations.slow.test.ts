/**
 * What the host may ask, attacked by every edit of edits.ts and by pairs of them, decided by regorus, the engine of the
 * guest. Right is what allowed-set.ts says, which is written independently of the Rego text.
 */
import { containerRequest } from "../../policy";
import { dataOfPolicyText } from "../../policy/agent/text";
import { loadCompiled } from "../../policy/wasm";
import { admits, type Guest } from "./allowed-set";
import { containerEdits, copyEdits, type Edit, type Kind, sandboxEdits } from "./edits";
import { POD, stepPod } from "./support";

interface Command {
  policy: string;
  rule: string;
  input: unknown;
  data: object;
}
const { findRegorus, decideAll } = require("../../tools/regorus.js") as {
  findRegorus(): string | undefined;
  decideAll(binary: string, commands: Command[]): { value?: unknown; error?: string }[];
};

const { policy, requests } = stepPod();
const data = dataOfPolicyText(policy);
const STATES = {
  none: {},
  sandbox: { sandbox: POD.sandboxId },
  pause: { sandbox: POD.sandboxId, pause: POD.sandboxId },
  step: { sandbox: POD.sandboxId, pause: POD.sandboxId, step: POD.containerId },
};

interface Attempt {
  readonly kind: Kind | "two edits" | "request order";
  readonly how: string;
  readonly name: string;
  readonly request: Record<string, unknown>;
  readonly state: Guest["state"];
}

function edited(name: string, state: Guest["state"], request: Record<string, unknown>, edits: Edit[]): Attempt[] {
  return edits.map(({ kind, how, edit }) => {
    const copy = structuredClone(request);
    edit(copy);
    return { kind, how, name, request: copy, state };
  });
}

/** Pairs of edits, drawn by a fixed linear congruential generator, so that a failure comes again. */
function pairs(state: Guest["state"], request: Record<string, unknown>, edits: Edit[], count: number): Attempt[] {
  let seed = 20_240_229;
  const next = (): Edit => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return edits[Math.floor((seed / 2 ** 32) * edits.length)] as Edit;
  };
  const out: Attempt[] = [];
  while (out.length < count) {
    const [a, b] = [next(), next()];
    const copy = structuredClone(request);
    try {
      a.edit(copy);
      b.edit(copy);
    } catch {
      continue; // the first edit removed what the second one changes
    }
    const how = `${a.how}; ${b.how}`;
    out.push({ kind: "two edits", how, name: "CreateContainerRequest", request: copy, state });
  }
  return out;
}

function everyOrder(): Attempt[] {
  const other = "9".repeat(64);
  const named: [string, Record<string, unknown>][] = [
    ["CreateSandboxRequest", requests.sandbox],
    ["CreateContainerRequest", requests.pause],
    ["CreateContainerRequest", requests.step],
    ...requests.files.map((f): [string, Record<string, unknown>] => ["CopyFileRequest", f]),
    ...[POD.sandboxId, POD.containerId, other].flatMap((id) =>
      (["StartContainerRequest", "WaitProcessRequest", "SignalProcessRequest", "RemoveContainerRequest"] as const).map(
        (name): [string, Record<string, unknown>] => [name, containerRequest(name, id)],
      ),
    ),
  ];
  return named.flatMap(([name, request]) =>
    Object.entries(STATES).map(([state, value]) => ({
      kind: "request order" as const,
      how: `${name} after: ${state}`,
      name,
      request,
      state: value,
    })),
  );
}

const { step, pause, sandbox, files } = requests;
const stepEdits = containerEdits(step);
const all: Attempt[] = [
  ...edited("CreateContainerRequest", STATES.pause, step, stepEdits),
  ...edited("CreateContainerRequest", STATES.sandbox, pause, containerEdits(pause)),
  ...edited("CreateSandboxRequest", STATES.none, sandbox, sandboxEdits(sandbox)),
  ...edited("CopyFileRequest", STATES.sandbox, files[0] as Record<string, unknown>, copyEdits(files[0])),
  ...pairs(STATES.pause, step, stepEdits, 1000),
  ...everyOrder(),
];
const unchanged = new Set([step, pause, sandbox, files[0]].map((r) => JSON.stringify(r)));
const seen = new Set<string>();
/** Each request once per state, and none that is the request as it was (those are in everyOrder). */
const attempts = all.filter(({ kind, name, request, state }) => {
  const text = JSON.stringify(request);
  const key = `${name} ${JSON.stringify(state)} ${text}`;
  const fresh = !seen.has(key) && (kind === "request order" || !unchanged.has(text));
  seen.add(key);
  return fresh;
});

const expected = attempts.map((a) => admits(a.name, a.request, { data, state: a.state }));
const allowed = (value: unknown): boolean =>
  value === true || (value as { allowed?: boolean } | null)?.allowed === true;
const wrong = (decisions: readonly boolean[]): string[] =>
  attempts
    .filter((_, i) => decisions[i] !== expected[i])
    .map((a) => `${a.kind}: ${a.how}: decided ${!admits(a.name, a.request, { data, state: a.state })}`);

describe("mutations of the requests of a pod", () => {
  it("are at least 5,000, of every kind, and most are outside the allowed set", () => {
    const table: Record<string, { made: number; denied: number }> = {};
    attempts.forEach(({ kind }, i) => {
      const row = table[kind] ?? { made: 0, denied: 0 };
      table[kind] = row;
      row.made++;
      if (!expected[i]) row.denied++;
    });
    const lines = Object.entries(table).map(([kind, { made, denied }]) => `${kind}: ${made}, to be denied ${denied}`);
    console.info(`${attempts.length} mutations\n${lines.join("\n")}`);
    expect(attempts.length).toBeGreaterThanOrEqual(5000);
    for (const kind of ["env", "arg", "mount", "storage", "hook", "annotation", "device", "order"]) {
      expect(table[kind]?.denied).toBeGreaterThan(20);
    }
    expect(expected.filter((e) => !e).length).toBeGreaterThanOrEqual(5000);
    expect(expected.filter((e) => e).length).toBeGreaterThan(100);
  });

  it("are decided right by the compiled form", () => {
    const compiled = loadCompiled("agent");
    const decisions = attempts.map(({ name, request, state }) =>
      allowed(compiled.evaluate(`agent_policy/${name}`, request, { pstate: state, sealflow_policy_data: data })),
    );
    expect(wrong(decisions)).toEqual([]);
  }, 120_000);

  const binary = findRegorus();
  (binary === undefined ? it.skip : it)(
    "are decided right by regorus: 0 wrong",
    () => {
      const answers = decideAll(
        binary as string,
        attempts.map(({ name, request, state }) => ({
          policy,
          rule: `data.agent_policy.${name}`,
          input: request,
          data: { pstate: state },
        })),
      );
      expect(answers.filter((a) => a.error)).toEqual([]);
      const mistakes = wrong(answers.map((a) => allowed(a.value)));
      console.info(`${attempts.length} decided by regorus, ${mistakes.length} wrong`);
      expect(mistakes).toEqual([]);
    },
    600_000,
  );
});

/** The attack command against a pipeline that the real tools have deployed: nothing gets further than it should. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { ATTACKS, MISSING } from "../../untrusted/attacks";
import { createChain, PLANTED, removeChain, startServices, up } from "../support/chain";
import { ok, sealflow } from "../support/cli";
import type { Project } from "../support/project";

jest.setTimeout(900_000);

interface Result {
  readonly number: number;
  readonly verdict: string;
  readonly reason?: string;
  readonly tries: readonly { readonly tried: string; readonly ended: string; readonly held: boolean }[];
  readonly leaks: readonly string[];
}

let project: Project;
let results: Result[];
let before: string;

/** Of the harness alone, so that what it leaves there is its own. */
let temporary: string;
const copies = (): string[] => readdirSync(temporary).filter((name) => name.startsWith("sealflow-attack-"));
const connectionFile = (): string => path.join(project.home, "pipelines", "local", "chain.json");

beforeAll(async () => {
  project = createChain();
  await startServices(project);
  await up(project);
  temporary = mkdtempSync(path.join(tmpdir(), "attack-test-"));
  // A copy of a process that was killed: no process has this number.
  mkdirSync(path.join(temporary, "sealflow-attack-4194305-x"));
  before = readFileSync(connectionFile(), "utf8");
  const secrets = Object.values(PLANTED).flatMap((text) => ["--canary", text]);
  const { stdout } = await sealflow(project, ["attack", "--json", "--params", "params.json", ...secrets], {
    TMPDIR: temporary,
  });
  results = (JSON.parse(stdout) as { results: Result[] }).results;
});
afterAll(async () => {
  await removeChain(project);
  rmSync(temporary, { recursive: true, force: true });
});

describe("sealflow attack", () => {
  it.each(ATTACKS.map(({ number, title }) => [number, title] as const))("%i %s: held", (number) => {
    const result = results.find((r) => r.number === number);
    const further = result?.tries.filter(({ held }) => !held).map(({ tried, ended }) => `${tried}: ${ended}`);
    expect({ verdict: result?.verdict, further, reason: result?.reason, leaks: result?.leaks }).toEqual({
      verdict: "held",
      further: [],
      reason: undefined,
      leaks: [],
    });
    expect(result?.tries.length).toBeGreaterThan(0);
  });

  it("says of the others what they need", () => {
    for (const { number, needs } of MISSING) {
      expect(results.find((r) => r.number === number)).toMatchObject({ verdict: "not here", reason: `needs ${needs}` });
    }
  });

  it("changes nothing of the project and leaves no copy behind", async () => {
    expect(readFileSync(connectionFile(), "utf8")).toBe(before);
    expect(copies()).toEqual([]);
    expect(existsSync(path.join(project.home, "attacker"))).toBe(false);
    const { stdout } = await ok(project, ["run", "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({ state: "succeeded" });
  });

  it("lists, and refuses numbers that do not exist", async () => {
    const { stdout } = await ok(project, ["attack", "--list", "--json"]);
    expect(JSON.parse(stdout)).toHaveLength(ATTACKS.length + MISSING.length);
    expect((await sealflow(project, ["attack", "--only", "59"])).code).toBe(1);
    expect((await sealflow(project, ["attack", "--only", "x"])).code).toBe(1);
  });
});

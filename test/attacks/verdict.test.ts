/** How the harness judges: an attack that got further, leaked, or could not be mounted never counts as held. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ATTACKS, type Attack, type AttackResult, allHeld, MISSING } from "../../untrusted/attacks";

const result = (verdict: AttackResult["verdict"]): AttackResult => ({
  number: 1,
  title: "t",
  power: "host",
  verdict,
  tries: [],
  leaks: [],
  seconds: 0,
});

describe("the harness", () => {
  it.each(["BROKEN", "LEAKED", "NOT_MOUNTED"] as const)("does not pass with one attack %s", (verdict) => {
    expect(allHeld([result("held"), result(verdict)])).toBe(false);
  });

  it("does not pass when nothing was mounted", () => {
    expect(allHeld([])).toBe(false);
    expect(allHeld([result("not here")])).toBe(false);
  });

  it("has every number of the list of attacks once", () => {
    const numbers = [...ATTACKS, ...MISSING].map(({ number }) => number);
    expect(new Set(numbers).size).toBe(numbers.length);
    for (let n = 1; n <= 21; n++) expect(numbers).toContain(n);
  });

  it("expects something of each, and never success", () => {
    for (const { expected } of ATTACKS) {
      expect(expected.length).toBeGreaterThan(0);
      expect(expected).not.toContain("ADMITTED");
      expect(expected).not.toContain("KEY_RELEASED");
      expect(expected).not.toContain("VERIFIED");
    }
  });

  it("has the table of docs/attacks.md", () => {
    const text = readFileSync(join(__dirname, "..", "..", "docs", "attacks.md"), "utf8");
    // The other table is of those that an API server is needed for; their own suite mounts them.
    const rows = text.split("\n## By whoever owns the cluster\n")[0]?.match(/^\| \d+ \|.*$/gm);
    const row = ({ number, title, power, expected }: Attack) =>
      `| ${number} | ${title} | ${power} | ${expected.join(", ")} |`;
    expect(rows).toEqual(ATTACKS.map(row));
  });
});

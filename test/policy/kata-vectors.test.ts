/**
 * Upstream's policy cases against our policy. It is for one fixed pod, so it is stricter than a policy generated for each
 * case's own pod; every case where it differs is listed with the reason. Nothing that upstream denies may be allowed.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { loadAgentPolicy } from "../../policy";
import { fillDefaults } from "../../policy/agent/defaults";
import { STRICTER } from "./stricter";
import { stepPod } from "./support";

interface Case {
  description: string;
  kind: string;
  allowed: boolean;
  request: Record<string, unknown>;
}
const load = (folder: string): Case[] =>
  JSON.parse(readFileSync(join(__dirname, "../vectors/kata", folder, "testcases.json"), "utf8"));

describe.each([
  "copyfile",
  "createsandbox",
  "createcontainer/env_vars",
  "createcontainer/generate_name",
  "createcontainer/volumes/emptydir",
  "state/execprocess",
])("%s", (folder) => {
  const { policy: text, requests } = stepPod();
  const policy = loadAgentPolicy(text);
  if (folder !== "createsandbox") {
    it("a sandbox is there first", () =>
      expect(policy.evaluate("CreateSandboxRequest", requests.sandbox).allowed).toBe(true));
  }

  it.each(load(folder).map((c) => [c.description, c] as const))("%s", (description, { kind, request, allowed }) => {
    const decision = policy.evaluate(kind, request).allowed;
    if (!allowed) expect(decision).toBe(false);
    else if (`${folder}: ${description}` in STRICTER) expect(decision).toBe(false);
    else expect(decision).toBe(true);
  });
});

it("requests of the simulated pod have exactly the fields of the protobuf messages", () => {
  const { defaults } = JSON.parse(readFileSync(join(__dirname, "../vectors/kata/request-defaults.json"), "utf8"));
  const { requests } = stepPod();
  for (const [name, request] of [
    ["CreateSandboxRequest", requests.sandbox],
    ["CreateContainerRequest", requests.pause],
    ["CreateContainerRequest", requests.step],
  ] as const) {
    expect(Object.keys(request).sort()).toEqual(Object.keys(defaults[name]).sort());
    expect(fillDefaults(name, request)).toEqual(request);
  }
});

it("a request's unknown fields are dropped and its missing ones filled, as the agent does", () => {
  expect(fillDefaults("SignalProcessRequest", { container_id: "a", evil: 1 })).toEqual({
    container_id: "a",
    exec_id: "",
    signal: 0,
  });
  expect(() => fillDefaults("NoSuchRequest", {})).toThrow("no such request");
});

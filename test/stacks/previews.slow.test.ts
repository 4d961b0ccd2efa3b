/**
 * Each stack of stacks/ as its configuration template says, previewed by the real engine: no account, no cluster, no
 * relying party is reached. Providers of clouds and of Kubernetes are the stand-ins, with their checks of every field.
 * graphs/ holds what each would make and what of it needs what, for review.
 */
import { readFileSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { FILLED } from "../../bench/support/filled";
import { DAY_MS, makeCa } from "../../relying-party/tls";
import { ok, sealflow } from "../support/cli";
import type { StateResource } from "../support/engine-stack";
import { graphText } from "../support/graph";
import { createStackProject, relyingPartyFilled, type StackProject } from "../support/stack-project";

jest.setTimeout(600_000);

const KUBECONFIG = `apiVersion: v1
kind: Config
clusters: [{ name: c, cluster: { server: "https://127.0.0.1:1" } }]
users: [{ name: u, user: { token: planted-kubeconfig-token } }]
contexts: [{ name: c, context: { cluster: c, user: u } }]
current-context: c
`;

let project: StackProject;
let filled: Readonly<Record<string, string>>;
beforeAll(async () => {
  const ca = await makeCa({ name: "test", now: Date.now(), notAfter: new Date(Date.now() + DAY_MS) });
  filled = { ...FILLED, ...relyingPartyFilled(ca.certPem) };
  project = createStackProject();
});
afterAll(async () => {
  await sealflow(project, ["dev", "--stop"]);
  project.remove();
});

/** stacks/kubernetes.ts works without any configuration; here its relying party is elsewhere, as the others' is. */
function configOf(stack: string): string {
  if (stack === "local") return "config: {}\n";
  if (stack !== "kubernetes") return project.template(stack, filled);
  const [, party] = /^( {2}sealflow:relyingParty:\n(?: {4}.*\n)+)/m.exec(project.template("azure", filled)) ?? [];
  return `config:\n${party}`;
}

/** Resources that the preview would make. */
async function planned(stack: string): Promise<{ text: string; resources: StateResource[] }> {
  const { stdout } = await project.pulumi("preview", "--json", "-s", stack);
  const { steps } = JSON.parse(stdout) as { steps: { op: string; newState: StateResource }[] };
  expect(new Set(steps.map(({ op }) => op))).toEqual(new Set(["create"]));
  return { text: stdout, resources: steps.map(({ newState }) => newState) };
}

it.each([
  ["azure", ["AksPeerPods", "CocoRuntime", "StepIdentity", "WorkflowTemplate"]],
  ["aws", ["EksPeerPods", "CocoRuntime", "StepIdentity", "WorkflowTemplate"]],
  ["baremetal", ["BareMetal", "CocoRuntime", "StepIdentity", "WorkflowTemplate"]],
  ["kubernetes", ["ExistingCluster", "StepIdentity", "WorkflowTemplate"]],
  ["local", ["LocalPlatform", "StepIdentity", "LocalWorkload"]],
])("%s previews from its template, and its graph is as reviewed", async (stack, kinds) => {
  await project.init(stack, configOf(stack));
  if (stack === "baremetal")
    await project.pulumi("config", "set", "--secret", "kubeconfig", "-s", stack, "--", KUBECONFIG);
  if (stack === "local") await ok(project, ["dev", "--detach"], project.env);
  const { text, resources } = await planned(stack);
  expect(text).not.toContain("planted-kubeconfig-token");
  const graph = graphText(resources);
  for (const kind of kinds) expect(graph).toContain(kind);
  const file = path.join(__dirname, "graphs", `${stack}.txt`);
  if (process.env.SEALFLOW_WRITE_VECTORS) writeFileSync(file, graph);
  expect(graph).toBe(readFileSync(file, "utf8"));
});

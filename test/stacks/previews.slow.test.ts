/**
 * Each stack of stacks/ as its configuration template says, previewed by the real engine: no account, no cluster, no
 * relying party is reached. Providers of clouds and of Kubernetes are the stand-ins, with their checks of every field.
 */
import { DAY_MS, makeCa } from "../../relying-party/tls";
import { createStackProject, FILLED, relyingPartyFilled, type StackProject } from "../support/stack-project";

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
afterAll(() => project.remove());

/** stacks/kubernetes.ts works without any configuration; here its relying party is elsewhere, as the others' is. */
function configOf(stack: string): string {
  if (stack !== "kubernetes") return project.template(stack, filled);
  const [, party] = /^( {2}sealflow:relyingParty:\n(?: {4}.*\n)+)/m.exec(project.template("azure", filled)) ?? [];
  return `config:\n${party}`;
}

it.each([
  ["azure", ["AksPeerPods", "CocoRuntime", "StepIdentity", "WorkflowTemplate"]],
  ["aws", ["EksPeerPods", "CocoRuntime", "StepIdentity", "WorkflowTemplate"]],
  ["baremetal", ["BareMetal", "CocoRuntime", "StepIdentity", "WorkflowTemplate"]],
  ["kubernetes", ["ExistingCluster", "StepIdentity", "WorkflowTemplate"]],
])("%s previews from its template, and shows what it would make", async (stack, kinds) => {
  await project.init(stack, configOf(stack));
  if (stack === "baremetal")
    await project.pulumi("config", "set", "--secret", "kubeconfig", "-s", stack, "--", KUBECONFIG);
  const { stdout } = await project.pulumi("preview", "-s", stack);
  for (const kind of kinds) expect(stdout).toContain(kind);
  expect(stdout).not.toContain("planted-kubeconfig-token");
});

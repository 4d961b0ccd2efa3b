import { mkdtempSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { activeWorkflows, followWorkflow, stopRun, submitRun } from "../../untrusted/backend-argo";
import { clusterOf, KubernetesClient, readKubeconfig } from "../../untrusted/kubernetes";

const config = (user: object, cluster: object = { server: "https://api.example:6443/" }) =>
  JSON.stringify({
    "current-context": "here",
    contexts: [{ name: "here", context: { cluster: "c", user: "u" } }],
    clusters: [{ name: "c", cluster }],
    users: [{ name: "u", user }],
  });

describe("a kubeconfig", () => {
  it("gives the current context's cluster and way to sign in", () => {
    const yaml = `
apiVersion: v1
current-context: b
contexts:
- {name: a, context: {cluster: no, user: no}}
- name: b
  context: {cluster: prod, user: me, namespace: x}
clusters:
- name: prod
  cluster: {server: https://prod.example, certificate-authority-data: ${Buffer.from("PEM").toString("base64")}, tls-server-name: kubernetes}
users:
- name: me
  user:
    client-certificate-data: ${Buffer.from("CERT").toString("base64")}
    client-key-data: ${Buffer.from("KEY").toString("base64")}
`;
    expect(clusterOf(yaml, "config")).toEqual({
      server: "https://prod.example",
      ca: "PEM",
      insecure: false,
      serverName: "kubernetes",
      user: { certificate: { cert: "CERT", key: "KEY" } },
    });
  });

  it.each([
    ["no current context", JSON.stringify({ contexts: [] }), /no current-context/],
    ["a context that is not there", JSON.stringify({ "current-context": "x" }), /contexts: there is no "x"/],
    ["nothing to sign in with", config({}), /the user has no token, certificate or exec plugin/],
    ["a proxy", config({ token: "t" }, { server: "https://a", "proxy-url": "http://p" }), /proxy-url is not supported/],
    ["a missing key file", config({ "client-certificate": "nowhere.pem", "client-key": "x" }), /names nowhere\.pem/],
  ])("with %s says so", (_what, text, message) => {
    expect(() => clusterOf(text, "/c/config")).toThrow(message);
  });

  it("that is no YAML is not quoted: it may hold keys", () => {
    const text = `users: [{token: "SECRET-TOKEN`;
    expect(() => clusterOf(text, "config")).toThrow("config: is no YAML");
    expect(() => clusterOf(text, "config")).not.toThrow(/SECRET/);
  });

  it("that is missing comes with a remedy", () => {
    expect(() => readKubeconfig({ KUBECONFIG: "/nowhere/config" })).toThrow(/Set KUBECONFIG/);
  });
});

/** As much of an API server as one test needs. */
async function serve(handle: (request: IncomingMessage, answer: ServerResponse, body: string) => void) {
  const server = createServer((request, answer) => {
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", () => handle(request, answer, body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = (user: object = { token: "t" }) =>
    new KubernetesClient(clusterOf(config(user, { server: url }), "config"));
  return { client, close: () => server.closeAllConnections() ?? server.close() };
}
const json = (answer: ServerResponse, value: unknown, status = 200) =>
  answer.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
const at = { kind: "argo", namespace: "ns", template: "dev-spam" } as const;
const RUN = "f".repeat(64);
const signal = () => new AbortController().signal;

it("a sign-in program's output and arguments are in no message, and its token in the request", async () => {
  const folder = mkdtempSync(join(tmpdir(), "sealflow-plugin-"));
  const plugin = join(folder, "plugin");
  const credential = { kind: "ExecCredential", status: { token: "FROM-PLUGIN" } };
  writeFileSync(
    plugin,
    `#!/bin/sh\n[ "$1" = fail ] && { echo SECRET-OUTPUT >&2; exit 3; }\necho '${JSON.stringify(credential)}'\n`,
    { mode: 0o755 },
  );
  const server = await serve(({ headers }, answer) => json(answer, { metadata: { name: headers.authorization } }));
  const exec = (args: string[]) => ({ exec: { apiVersion: "client.authentication.k8s.io/v1", command: plugin, args } });
  expect((await server.client(exec([])).get("/x")).metadata.name).toBe("Bearer FROM-PLUGIN");
  const refused = server.client(exec(["fail", "SECRET-ARGUMENT"])).get("/x");
  await expect(refused).rejects.toThrow(/the sign-in program ".*plugin" of the kubeconfig failed \(3\)/);
  await expect(refused).rejects.not.toThrow(/SECRET/);
  server.close();
});

describe("a run on a cluster", () => {
  it("is submitted with its id and what is done, and nothing else; deleting the template deletes it", async () => {
    const template = { metadata: { name: "dev-spam", uid: "u-1", labels: { "app.kubernetes.io/part-of": "spam" } } };
    let sent: unknown;
    const server = await serve((request, answer, body) => {
      if (request.method === "POST") sent = JSON.parse(body);
      if (request.method === "POST") return json(answer, { metadata: { name: "dev-spam-x" } }, 201);
      json(answer, request.url?.includes("workflowtemplates") ? template : { items: [], metadata: {} });
    });
    const steps = new Map([
      ["a", 1],
      ["b", 4],
      ["c", 8],
    ]);
    const done = new Map([
      ["a", 1],
      ["b", 3],
    ]);
    const submitted = await submitRun({ client: server.client(), at, run: RUN, done, steps });
    expect(submitted).toMatchObject({ name: "dev-spam-x", isNew: true, phase: undefined });
    expect(sent).toEqual({
      apiVersion: "argoproj.io/v1alpha1",
      kind: "Workflow",
      metadata: {
        generateName: "dev-spam-",
        labels: { "app.kubernetes.io/part-of": "spam", "sealflow/run": RUN.slice(0, 40) },
        ownerReferences: [
          { apiVersion: "argoproj.io/v1alpha1", kind: "WorkflowTemplate", name: "dev-spam", uid: "u-1" },
        ],
      },
      spec: {
        workflowTemplateRef: { name: "dev-spam" },
        arguments: {
          parameters: [
            { name: "run", value: RUN },
            { name: "done", value: ",a," },
            { name: "pods-b", value: "1" },
          ],
        },
      },
    });
    server.close();
  });

  it("that is at work already is found again, not started twice", async () => {
    const items = [
      { metadata: { name: "old" }, status: { phase: "Failed" } },
      { metadata: { name: "new" }, status: { phase: "Running" } },
    ];
    const patched: string[] = [];
    const server = await serve((request, answer, body) => {
      if (request.method === "PATCH") patched.push(`${request.url} ${body}`);
      json(answer, { items, metadata: { name: "x" } });
    });
    const client = server.client();
    const found = await submitRun({ client, at, run: RUN, done: new Map(), steps: new Map() });
    expect(found).toEqual({ name: "new", phase: "Running", message: undefined, isNew: false });
    expect(await stopRun(client, at, RUN)).toEqual(["new"]);
    expect(patched).toEqual(['/apis/argoproj.io/v1alpha1/namespaces/ns/workflows/new {"spec":{"shutdown":"Stop"}}']);
    server.close();
  });

  it("without Argo or its template says what is missing", async () => {
    const none = await serve((_request, answer) => json(answer, { message: "nothing here" }, 404));
    await expect(activeWorkflows(none.client(), at, RUN)).rejects.toMatchObject({ code: "ARGO_MISSING" });
    none.close();
    const empty = await serve((request, answer) =>
      request.url?.includes("templates") ? json(answer, { message: "no" }, 404) : json(answer, { items: [] }),
    );
    const submit = submitRun({ client: empty.client(), at, run: RUN, done: new Map(), steps: new Map() });
    await expect(submit).rejects.toMatchObject({
      code: "TEMPLATE_MISSING",
      message: expect.stringContaining("sealflow up"),
    });
    empty.close();
  });

  it("is followed by watch through broken watches, and not asked for in between", async () => {
    const running = { metadata: { name: "w", resourceVersion: "5" }, status: { phase: "Running" } };
    let lists = 0;
    let watches = 0;
    const server = await serve((request, answer) => {
      if (!request.url?.includes("watch=1")) {
        lists++;
        return json(answer, { items: [running], metadata: { resourceVersion: "5" } });
      }
      watches++;
      answer.writeHead(200);
      answer.write(`${JSON.stringify({ type: "MODIFIED", object: running })}\n`);
      if (watches === 1) return void setTimeout(() => answer.destroy(), 50);
      const end = { ...running, status: { phase: "Failed", message: "child failed" } };
      setTimeout(() => answer.write(`${JSON.stringify({ type: "MODIFIED", object: end })}\n`), 1500);
    });
    const notes: string[] = [];
    const state = await followWorkflow({
      client: server.client(),
      at,
      name: "w",
      signal: signal(),
      onNote: (line) => notes.push(line),
    });
    expect(state).toEqual({ name: "w", phase: "Failed", message: "child failed" });
    expect([lists, watches]).toEqual([2, 2]);
    expect(notes).toEqual([expect.stringMatching(/the watch broke off; the run goes on/)]);
    server.close();
  });
});

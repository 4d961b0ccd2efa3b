/**
 * The definition of CloudNativePG's Cluster as far as databases of ours use it, written for tests from the fields of
 * postgresql.cnpg.io/v1 (1.30), and what its operator makes for the owner of a database. The operator itself needs images
 * that a test machine may not reach.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { KubernetesClient } from "../../untrusted/kubernetes";
import { namespacedCrd } from "./namespaced-crd";

const text = { type: "string" };
const map = { type: "object", additionalProperties: text };
const quantity = { anyOf: [{ type: "integer" }, text], "x-kubernetes-int-or-string": true };
const quantities = { type: "object", additionalProperties: quantity };
const oneOf = (...values: string[]) => ({ type: "string", enum: values });

const SPEC = {
  type: "object",
  required: ["instances"],
  properties: {
    description: text,
    imageName: text,
    instances: { type: "integer", minimum: 1 },
    bootstrap: {
      type: "object",
      properties: {
        initdb: {
          type: "object",
          properties: {
            database: text,
            owner: text,
            secret: { type: "object", required: ["name"], properties: { name: text } },
            encoding: text,
          },
        },
      },
    },
    enableSuperuserAccess: { type: "boolean", default: false },
    enablePDB: { type: "boolean", default: true },
    storage: {
      type: "object",
      properties: { size: text, storageClass: text, resizeInUseVolumes: { type: "boolean" } },
    },
    postgresql: {
      type: "object",
      properties: {
        parameters: map,
        pg_hba: { type: "array", items: text },
        synchronous: {
          type: "object",
          required: ["method", "number"],
          properties: {
            method: oneOf("any", "first"),
            number: { type: "integer" },
            dataDurability: oneOf("required", "preferred"),
            maxStandbyNamesFromCluster: { type: "integer" },
          },
        },
      },
    },
    affinity: {
      type: "object",
      properties: { enablePodAntiAffinity: { type: "boolean" }, topologyKey: text, podAntiAffinityType: text },
    },
    resources: { type: "object", properties: { requests: quantities, limits: quantities } },
  },
};

export const CLUSTER_CRD = namespacedCrd("postgresql.cnpg.io", "Cluster", {
  required: ["spec"],
  properties: { spec: SPEC, status: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
});

/** Gives every Cluster the Secrets that its owner is to find, and calls it ready, until the signal. */
export async function provideDatabases(
  api: KubernetesClient,
  { url, caPem }: { url: string; caPem: string },
  signal: AbortSignal,
): Promise<void> {
  const done = new Set<string>();
  const { hostname, port, pathname, username, password } = new URL(url);
  const app = { uri: url, host: hostname, port, dbname: pathname.slice(1), username, password };
  while (!signal.aborted) {
    const clusters = "/apis/postgresql.cnpg.io/v1";
    const { items } = await api.list(`${clusters}/clusters`).catch(() => ({ items: [] }));
    for (const { metadata } of items) {
      const { namespace = "", name = "" } = metadata;
      if (done.has(`${namespace}/${name}`)) continue;
      for (const [suffix, stringData] of [
        ["app", app],
        ["ca", { "ca.crt": caPem, "ca.key": "the operator's own" }],
      ] as const) {
        const secret = {
          apiVersion: "v1",
          kind: "Secret",
          metadata: { name: `${name}-${suffix}`, namespace },
          stringData,
        };
        await api.create(`/api/v1/namespaces/${namespace}/secrets`, secret);
      }
      const ready = {
        type: "Ready",
        status: "True",
        reason: "ClusterIsReady",
        lastTransitionTime: new Date().toISOString(),
      };
      const status = { status: { conditions: [ready] } };
      await api.patch(`${clusters}/namespaces/${namespace}/clusters/${name}/status`, status);
      done.add(`${namespace}/${name}`);
    }
    await sleep(300, undefined, { signal }).catch(() => undefined);
  }
}

/** Volumes of ordinary pods, as folders of the host; real tokens, bound to their pod. */
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { KubernetesClient } from "../../kubernetes";
import { dataOf, fieldOf, patiently } from "./fields";
import type { KeyToPath, Pod, Volume, VolumeSource } from "./types";

/** @returns volume → folder. @throws Error for a kind of volume that the simulation has not, or a missing object. */
export async function makeVolumes(client: KubernetesClient, pod: Pod, folder: string, node: string) {
  const folders: Record<string, string> = {};
  for (const volume of pod.spec.volumes ?? []) {
    const at = join(folder, volume.name);
    mkdirSync(at, { recursive: true });
    // Containers have users of their own.
    chmodSync(at, 0o777);
    folders[volume.name] = at;
    const sources = volume.projected?.sources ?? [volume];
    for (const source of sources) await fill(client, pod, source, at, node, volume);
  }
  return folders;
}

/** The kubelet looks every minute or so; tests are less patient. */
const FOLLOW_MS = 5000;

/**
 * Brings files of Secrets and ConfigMaps up to their objects, until the signal. What cannot be read stays as it is, and
 * files of keys that were removed stay, unlike on a kubelet.
 */
export async function followVolumes(
  client: KubernetesClient,
  pod: Pod,
  folders: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> {
  const followed = (pod.spec.volumes ?? []).flatMap((volume) => {
    const sources = (volume.projected?.sources ?? [volume]).filter(({ configMap, secret }) => configMap || secret);
    return sources.map((source) => ({ volume, source }));
  });
  const ended = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  while (followed.length > 0) {
    await sleep(FOLLOW_MS, undefined, { signal }).catch(() => undefined);
    for (const { volume, source } of followed) {
      if (signal.aborted) return;
      // An object that is gone would be waited for.
      const filled = fill(client, pod, source, folders[volume.name] as string, "", volume).catch(() => undefined);
      await Promise.race([filled, ended]);
    }
  }
}

async function fill(
  client: KubernetesClient,
  pod: Pod,
  source: VolumeSource,
  at: string,
  node: string,
  volume: Volume,
) {
  const { namespace, name, uid } = pod.metadata;
  const { configMap, secret, downwardAPI, serviceAccountToken, emptyDir } = source;
  const secretName = secret?.secretName ?? secret?.name;
  if (configMap) {
    put(at, await dataOf(client, namespace, "configmaps", configMap.name, configMap.optional), configMap.items);
  } else if (secret && secretName) {
    put(at, await dataOf(client, namespace, "secrets", secretName, secret.optional), secret.items);
  } else if (downwardAPI) {
    for (const { path, fieldRef } of downwardAPI.items) {
      write(at, path, Buffer.from(fieldRef ? fieldOf(pod, fieldRef.fieldPath, node) : ""));
    }
  } else if (serviceAccountToken) {
    const { path, audience, expirationSeconds } = serviceAccountToken;
    const account = pod.spec.serviceAccountName ?? "default";
    const request = {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      spec: {
        ...(audience === undefined ? {} : { audiences: [audience] }),
        ...(expirationSeconds === undefined ? {} : { expirationSeconds }),
        boundObjectRef: { apiVersion: "v1", kind: "Pod", name, uid },
      },
    };
    const place = `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`;
    const answer = (await patiently(false, () => client.create(place, request))) as { status?: { token?: string } };
    write(at, path, Buffer.from(answer.status?.token ?? ""));
  } else if (!emptyDir) {
    const kind = Object.keys(volume).find((key) => key !== "name");
    throw new Error(`volume ${volume.name}: a ${kind} is not simulated`);
  }
}

function put(at: string, data: Record<string, Buffer>, items: readonly KeyToPath[] | undefined): void {
  const wanted = items ?? Object.keys(data).map((key) => ({ key, path: key }));
  for (const { key, path } of wanted) {
    const value = data[key];
    if (value === undefined) throw new Error(`there is no key ${key}`);
    write(at, path, value);
  }
}

function write(at: string, path: string, value: Buffer): void {
  const inside = normalize(path);
  // The API server refuses such paths; the host's files do not depend on it.
  if (inside.startsWith("..") || inside.startsWith("/")) throw new Error(`path ${path} leaves its volume`);
  const file = join(at, inside);
  if (existsSync(file) && readFileSync(file).equals(value)) return;
  mkdirSync(dirname(file), { recursive: true });
  // Whoever has it open goes on with what it was.
  const next = join(dirname(file), `.${Date.now()}.next`);
  writeFileSync(next, value, { mode: 0o644 });
  renameSync(next, file);
}

/** The key broker decides who gets keys: it runs where the operator of the pipelines' cluster has no power, and closed. */
import type { Rule, Seen, Violation } from "../types";
import { isFields, isStep, podsOf } from "../workloads";

const RELYING_PARTY = new Set(["sealflow:index:Trustee", "sealflow:index:RunLedger"]);
const ofRelyingParty = ({ parentTypes }: Seen): boolean => parentTypes.some((type) => RELYING_PARTY.has(type));

export const relyingPartyElsewhere: Rule = {
  name: "sealflow-relying-party-elsewhere",
  description: "Key broker and ledger do not run in the cluster that runs the steps.",
  reason: "whoever runs that cluster could take over the broker and give himself every key",
  remedy: "deploy Trustee and RunLedger with the provider of another cluster, or name an existing one by URL",
  checkStack(resources, { production }) {
    if (!production) return []; // the components refuse it there, or say it aloud
    const clusters = new Set(
      resources.filter((resource) => podsOf(resource).some(isStep)).flatMap((resource) => clustersOf(resource)),
    );
    return resources
      .filter((resource) => ofRelyingParty(resource) && podsOf(resource).length > 0)
      .filter((resource) => clustersOf(resource).some((cluster) => clusters.has(cluster)))
      .map(({ name, urn }) => ({ urn, message: `${name}: runs in the same cluster as steps` }));
  },
};

/** What tells clusters apart: two providers with one kubeconfig, or both with the ambient one, are one cluster. */
function clustersOf({ provider }: Seen): string[] {
  if (provider === undefined) return [];
  const { kubeconfig = "", context = "", cluster = "" } = provider.props;
  const configured = typeof kubeconfig === "string" ? [`${kubeconfig}|${String(context)}|${String(cluster)}`] : [];
  return [provider.urn, ...configured];
}

/** Settings of Trustee that open it, as they stand in its configuration (TOML or JSON). */
const OPEN: readonly [RegExp, string][] = [
  [/\bInsecureAllowAll\b/, "InsecureAllowAll lets everybody set policies"],
  [/\binsecure_api["']?\s*[:=]\s*true\b/, "insecure_api lets everybody set policies"],
  [/\binsecure_http["']?\s*[:=]\s*true\b/, "insecure_http sends keys and tokens in the clear"],
  [/\binsecure_(?:header_jwk|key)["']?\s*[:=]\s*true\b/, "everybody could sign attestation tokens"],
];

export const closedAdminApi: Rule = {
  name: "sealflow-closed-admin-api",
  description: "The key broker's administration needs a signed token, and its listeners TLS.",
  reason: "whoever can set policies can release every key to himself",
  remedy: "write the configuration with trusteeConfig(…) for production, which refuses these",
  check: (resource) => (ofRelyingParty(resource) ? openSettings(resource) : []),
};

function openSettings({ type, name, urn, props }: Seen): Violation[] {
  if (!/^kubernetes:core\/v1:(ConfigMap|Secret)$/.test(type)) return [];
  return ["data", "stringData"].flatMap((field) => {
    const entries = isFields(props[field]) ? props[field] : {};
    return Object.entries(entries).flatMap(([file, content]) => {
      if (typeof content !== "string") return [];
      const shown = field === "data" && type.endsWith("Secret") ? decoded(content) : content;
      return OPEN.filter(([setting]) => setting.test(shown)).map(([, why]) => ({
        urn,
        message: `${name}: ${field}["${file}"]: ${why}`,
      }));
    });
  });
}

const decoded = (base64: string): string => Buffer.from(base64, "base64").toString("utf8");

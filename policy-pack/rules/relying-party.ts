/** The key broker decides who gets keys: it runs where the operator of the pipelines' cluster has no power, and closed. */
import type { Rule, Seen, Violation } from "../types";
import { isStep, podsOf } from "../workloads";

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

/** Wherever a setting is written: in files of ConfigMaps and Secrets, arguments, variables, values of a chart. */
function openSettings({ type, name, urn, props }: Seen): Violation[] {
  if (!type.startsWith("kubernetes:")) return [];
  return textsIn(props, "", 0).flatMap(({ at, text }) => {
    const readings = [plain(text), plain(decoded(text))];
    return OPEN.filter(([setting]) => readings.some((reading) => setting.test(reading))).map(([, why]) => ({
      urn,
      message: `${name}: ${at}: ${why}`,
    }));
  });
}

const DEPTH = 12;

function textsIn(value: unknown, at: string, depth: number): { at: string; text: string }[] {
  if (typeof value === "string") return [{ at, text: value }];
  if (typeof value !== "object" || value === null || depth > DEPTH) return [];
  return Object.entries(value).flatMap(([key, field]) => [
    // A map of values says the setting by its key: `insecure_http: true`.
    ...(typeof field === "boolean" ? [{ at: `${at}["${key}"]`, text: `${key}: ${field}` }] : []),
    ...textsIn(
      field,
      /^[A-Za-z_]\w*$/.test(key) && !Array.isArray(value) ? (at === "" ? key : `${at}.${key}`) : `${at}["${key}"]`,
      depth + 1,
    ),
  ]);
}

/** Letters that TOML and JSON let one write by their numbers. */
const plain = (text: string): string =>
  text.replace(/\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/g, (as, short?: string, long?: string) => {
    const code = Number.parseInt(short ?? long ?? "", 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : as;
  });

const decoded = (base64: string): string =>
  /^[A-Za-z0-9+/\s]+={0,2}\s*$/.test(base64) ? Buffer.from(base64, "base64").toString("utf8") : "";

/**
 * How the guest pulls images: the `[image]` table of cdh.toml. Source: guest-components image-rs/src/config.rs. Part of
 * initdata and of programId, so a guest with other settings is another identity.
 */
import { stringify } from "smol-toml";
import type { ImageSettings, RegistryMirror } from "../../model/guest-settings";
import { PolicyError } from "../errors";

export type { ImageSettings, RegistryMirror } from "../../model/guest-settings";

const KBS_URI = /^kbs:\/\/\/[A-Za-z0-9_-][\w.-]*\/[A-Za-z0-9_-][\w.-]*\/[A-Za-z0-9_-][\w.-]*$/;
const HOST_PATH = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(\/[a-z0-9._-]+)*$/;
const PEM = /^-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n$/;

/** The same in every guest without settings; with an [image] table nothing comes from the kernel command line. */
const PARALLEL = 3;

/** @returns TOML, deterministic. @throws PolicyError GUEST_CONFIG with every problem. */
export function imageTable(settings: ImageSettings = {}): string {
  const { securityPolicyUri, credentialsUri, mirrors = [], proxy = {}, extraRoots = [] } = settings;
  const roots = extraRoots.map((pem) => `${pem.replace(/\r\n?/g, "\n").trim()}\n`);
  const problems = [
    ...uri("securityPolicyUri", securityPolicyUri),
    ...uri("credentialsUri", credentialsUri),
    ...mirrors.flatMap(mirrorProblems),
    ...proxyProblems(proxy),
    ...roots.flatMap((pem, i) => (PEM.test(pem) ? [] : [`extraRoots[${i}] is not one PEM certificate`])),
  ];
  if (problems.length > 0) throw new PolicyError("GUEST_CONFIG", `image settings: ${problems.join("; ")}`);
  const pull = {
    ...(proxy.https ? { https_proxy: proxy.https } : {}),
    ...(proxy.http ? { http_proxy: proxy.http } : {}),
    ...(proxy.noProxy ? { no_proxy: proxy.noProxy } : {}),
  };
  const table = {
    max_concurrent_layer_downloads_per_image: PARALLEL,
    ...(credentialsUri ? { authenticated_registry_credentials_uri: credentialsUri } : {}),
    ...(roots.length > 0 ? { extra_root_certificates: roots } : {}),
    ...(securityPolicyUri ? { image_security_policy_uri: securityPolicyUri } : {}),
    ...(Object.keys(pull).length > 0 ? { image_pull_proxy: pull } : {}),
    ...(mirrors.length > 0 ? { registry_config: { registry: mirrors.map(registry) } } : {}),
  };
  return `${stringify({ image: table }).trimEnd()}\n`;
}

const registry = ({ prefix, mirrors }: RegistryMirror) => ({
  prefix,
  location: prefix,
  mirror: mirrors.map((location) => ({ location, insecure: false })),
});

const uri = (name: string, value: string | undefined): string[] =>
  value === undefined || KBS_URI.test(value) ? [] : [`${name} "${value}" is not kbs:///repository/type/tag`];

function mirrorProblems({ prefix, mirrors }: RegistryMirror): string[] {
  const places = [prefix, ...mirrors].filter((place) => !HOST_PATH.test(place));
  return [
    ...places.map((place) => `mirrors: "${place}" is not a registry, with a path perhaps`),
    ...(mirrors.length === 0 ? [`mirrors: "${prefix}" has no mirror`] : []),
  ];
}

function proxyProblems({ https, http, noProxy }: NonNullable<ImageSettings["proxy"]>): string[] {
  const bad = [https, http].filter((text): text is string => text !== undefined && !isProxy(text));
  return [
    ...bad.map(
      (text) =>
        `proxy "${text.replace(/\/\/[^@]*@/, "//…@")}" is not http(s)://host:port; initdata is public, so it holds no password`,
    ),
    ...(noProxy === undefined || /^[A-Za-z0-9.,:*/_-]*$/.test(noProxy) ? [] : ["proxy.noProxy is not a list of hosts"]),
  ];
}

function isProxy(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password, pathname, search, hash } = new URL(text);
  return /^https?:$/.test(protocol) && !username && !password && pathname === "/" && !search && !hash;
}

import { execFileSync } from "node:child_process";
import { createPublicKey, generateKeyPairSync, type JsonWebKey } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "smol-toml";
import {
  checkImageSignature,
  cosignPublicKey,
  guestConfig,
  type ImageSettings,
  imagePolicy,
  openSealedSecret,
  registryCredentials,
  sealingJwk,
  sealSecret,
  signImage,
  stepGuest,
} from "../../policy";
import { CA, STEP } from "./support";

const cdhOf = (images?: ImageSettings) =>
  guestConfig({ kbsUrl: STEP.kbsUrl, caPem: CA, ...(images ? { images } : {}) }).cdh;
const ALL: ImageSettings = {
  securityPolicyUri: "kbs:///default/security-policy/main",
  credentialsUri: "kbs:///default/credential/main",
  mirrors: [{ prefix: "docker.io/library", mirrors: ["mirror.example:5000/library"] }],
  proxy: { https: "http://proxy.example:3128", noProxy: "10.0.0.0/8,.svc" },
  extraRoots: [CA],
};

describe("image settings", () => {
  it("without any, cdh.toml is what it always was", () => {
    expect(cdhOf()).toMatch(/\n\n\[image\]\nmax_concurrent_layer_downloads_per_image = 3\n$/);
    expect(cdhOf({})).toBe(cdhOf());
  });

  it("become the keys that the guest reads", () => {
    expect(parse(cdhOf(ALL)).image).toEqual({
      max_concurrent_layer_downloads_per_image: 3,
      image_security_policy_uri: "kbs:///default/security-policy/main",
      authenticated_registry_credentials_uri: "kbs:///default/credential/main",
      extra_root_certificates: [CA],
      image_pull_proxy: { https_proxy: "http://proxy.example:3128", no_proxy: "10.0.0.0/8,.svc" },
      registry_config: {
        registry: [
          {
            prefix: "docker.io/library",
            location: "docker.io/library",
            mirror: [{ location: "mirror.example:5000/library", insecure: false }],
          },
        ],
      },
    });
  });

  it.each(Object.entries(ALL))("%s changes the identity", (name, value) => {
    expect(stepGuest({ ...STEP, images: { [name]: value } }).identity).not.toBe(stepGuest(STEP).identity);
  });

  it.each<[string, ImageSettings, string]>([
    ["a policy from a file", { securityPolicyUri: "file:///etc/policy.json" }, "is not kbs:///"],
    ["a password in the proxy", { proxy: { https: "http://u:secret@proxy:1" } }, "holds no password"],
    ["a line break", { credentialsUri: "kbs:///a/b/c\nevil = 1" }, "is not kbs:///"],
    ["a certificate that is none", { extraRoots: ["x"] }, "extraRoots[0]"],
    ["no mirror", { mirrors: [{ prefix: "a.b", mirrors: [] }] }, "has no mirror"],
    ["a mirror with a scheme", { mirrors: [{ prefix: "a.b", mirrors: ["http://m"] }] }, '"http://m"'],
  ])("%s is refused", (_what, images, message) => {
    expect(() => cdhOf(images)).toThrow(message);
    expect(() => cdhOf(images)).not.toThrow("secret");
  });
});

describe("an image policy", () => {
  it("rejects what is not listed, and wants a signature for what is", () => {
    const scopes = [{ scope: "registry.example/team", keyUri: "kbs:///default/cosign-public-key/team" }];
    expect(JSON.parse(imagePolicy(scopes))).toEqual({
      default: [{ type: "reject" }],
      transports: {
        docker: {
          "registry.example/team": [
            {
              type: "sigstoreSigned",
              keyPath: "kbs:///default/cosign-public-key/team",
              signedIdentity: { type: "matchRepository" },
            },
          ],
        },
      },
    });
    expect(() => imagePolicy([])).toThrow("nothing could run");
    expect(() => imagePolicy([{ scope: "a", keyUri: "/etc/key.pem" }])).toThrow('"a"');
  });

  it("credentials are auth.json, and a refusal names no password", () => {
    expect(JSON.parse(registryCredentials([{ registry: "r.example:5000/x", user: "u", password: "p:q" }]))).toEqual({
      auths: { "r.example:5000/x": { auth: Buffer.from("u:p:q").toString("base64") } },
    });
    const bad = () => registryCredentials([{ registry: "HTTP://x", user: "u", password: "hunter2" }]);
    expect(bad).toThrow("registry credentials");
    expect(bad).not.toThrow("hunter2");
  });
});

describe("a cosign signature of an image", () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const image = { repository: "registry.example:5000/team/train", manifestDigest: `sha256:${"ab".repeat(32)}` };
  const signed = signImage(image, privateKey);
  const pem = cosignPublicKey(privateKey);
  const text = (bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString());

  it("has the layout that guests look for, and openssl verifies it", () => {
    expect(signed.tag).toBe(`sha256-${"ab".repeat(32)}.sig`);
    const manifest = text(signed.manifest.bytes);
    expect(manifest.config.digest).toBe(signed.config.digest);
    expect(text(signed.config.bytes).rootfs.diff_ids).toEqual([signed.layer.digest]);
    const [layer] = manifest.layers;
    expect(layer).toMatchObject({ digest: signed.layer.digest, size: signed.layer.bytes.length });
    const dir = mkdtempSync(join(tmpdir(), "sealflow-cosign-"));
    const at = (name: string, bytes: Uint8Array | string) => {
      writeFileSync(join(dir, name), bytes);
      return join(dir, name);
    };
    const signature = at("sig", Buffer.from(layer.annotations["dev.cosignproject.cosign/signature"], "base64"));
    const args = [
      "dgst",
      "-sha256",
      "-verify",
      at("key.pem", pem),
      "-signature",
      signature,
      at("p", signed.layer.bytes),
    ];
    expect(execFileSync("openssl", args, { encoding: "utf8" })).toContain("Verified OK");
    rmSync(dir, { recursive: true });
  });

  it("is checked as a guest does: key, repository, digest, bytes", () => {
    const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
    expect(() => checkImageSignature(image, signed, pem)).not.toThrow();
    expect(() => checkImageSignature(image, signed, cosignPublicKey(other))).toThrow("not of this key");
    const moved = { ...image, repository: "registry.example:5000/team/other" };
    expect(() => checkImageSignature(moved, signed, pem)).toThrow("another repository");
    const swapped = { ...image, manifestDigest: `sha256:${"cd".repeat(32)}` };
    expect(() => checkImageSignature(swapped, signed, pem)).toThrow("another image");
    const bytes = Uint8Array.from(signed.layer.bytes, (b, i) => (i === 40 ? b ^ 1 : b));
    expect(() => checkImageSignature(image, { ...signed, layer: { ...signed.layer, bytes } }, pem)).toThrow(
      "no signed layer",
    );
  });

  it("of a tag, a short digest, or with another curve is refused", () => {
    expect(() => signImage({ ...image, repository: "r.example/a:latest" }, privateKey)).toThrow("without a tag");
    expect(() => signImage({ ...image, manifestDigest: "sha256:ab" }, privateKey)).toThrow("64 hex digits");
    const curve = generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey;
    expect(() => signImage(image, curve)).toThrow("EC P-256");
    expect(JSON.stringify(signed)).not.toContain("PRIVATE");
  });
});

describe("sealed secrets", () => {
  interface Vector {
    id: string;
    payload?: object;
    sealed: string;
    expect: string;
  }
  const file = JSON.parse(readFileSync(join(__dirname, "../vectors/sealed-secret/sealed.json"), "utf8")) as {
    verify_key: JsonWebKey;
    vectors: Vector[];
  };
  const key = createPublicKey({ key: file.verify_key, format: "jwk" });

  it.each(file.vectors.map((v) => [v.id, v.expect, v] as const))("vector %s: %s", (_id, expected, vector) => {
    if (expected === "accept") expect(openSealedSecret(vector.sealed, key)).toEqual(vector.payload);
    else expect(() => openSealedSecret(vector.sealed, key)).toThrow("sealed secret");
  });

  it("ours opens with its published key, which holds nothing private, and with no other", () => {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const text = sealSecret({ resourceUri: "kbs:///a/b/c", keyUri: "kbs:///a/key/seal" }, privateKey);
    const jwk = JSON.parse(sealingJwk(privateKey));
    expect(Object.keys(jwk).sort()).toEqual(["alg", "crv", "kty", "use", "x", "y"]);
    expect(openSealedSecret(text, createPublicKey({ key: jwk, format: "jwk" }))).toMatchObject({
      type: "vault",
      name: "kbs:///a/b/c",
      provider: "kbs",
      provider_settings: {},
      annotations: {},
    });
    expect(() => openSealedSecret(text, key)).toThrow("not of this key");
    expect(() => openSealedSecret(`${text}x`, createPublicKey(privateKey))).toThrow("sealed secret");
  });

  it("other keys and other URIs are refused", () => {
    const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey;
    const uris = { resourceUri: "kbs:///a/b/c", keyUri: "kbs:///a/key/seal" };
    expect(() => sealSecret(uris, p384)).toThrow("P-256");
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    expect(() => sealSecret({ ...uris, keyUri: "test-key" }, privateKey)).toThrow("keyUri");
  });
});

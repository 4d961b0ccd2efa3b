/** What a user fills into the templates of stacks/config, but for the relying party. */
export const FILLED: Readonly<Record<string, string>> = {
  "<subscription>": "11111111-2222-3333-4444-555555555555",
  "<group>": "images",
  "<gallery>": "gallery",
  "ami-<your image, docs/aws.md>": "ami-0123456789abcdef0",
  "<registry>/busybox@sha256:<digest>": `registry.example.org/busybox@sha256:${"a".repeat(64)}`,
  "acknowledgeUnboundInitdata: false": "acknowledgeUnboundInitdata: true",
};

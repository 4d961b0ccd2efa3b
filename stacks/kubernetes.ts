/**
 * The spam filter on a cluster with Confidential Containers and Argo Workflows. The relying party is not in the cluster,
 * which is distrusted. Config:
 * - platform: row of the capability matrix (docs/platforms.md); default `local`, simulated guests, not confidential
 * - runtimeClass, namespace: default the row's first, `sealflow`
 * - kubeconfig: text, as a secret; default the ambient one
 * - relyingParty: {kbsUrl, ledgerUrl, caPem, ledgerKey}; default that of this machine, `npx sealflow dev`
 * - registry: {repository}, where sealed images are pushed to and guests pull them from; default: they stay here
 * - runKeys: public keys that may open runs (`npx sealflow keys new run.jwk --run`); default: the owner's own alone
 * - stockGuestImage: why guests are accepted that allow everything when the host boots them without initdata
 */
import * as pulumi from "@pulumi/pulumi";
import {
  ConfidentialPipeline,
  EncryptedStorage,
  environment,
  type ImageRegistry,
  RelyingParty,
  type RelyingPartyReference,
} from "sealflow";
import { argoBackend, clusterProvider, ExistingCluster } from "sealflow/kubernetes";
import { mailsFile, spam } from "../examples/spam-filter/pipeline";

const config = new pulumi.Config();
const registry = config.getObject<ImageRegistry>("registry");
const kubeconfig = config.getSecret("kubeconfig");
const runtimeClass = config.get("runtimeClass");
const reason = config.get("stockGuestImage");
const reference = config.getObject<RelyingPartyReference>("relyingParty");

const platform = new ExistingCluster("cluster", {
  platform: config.get("platform") ?? "local",
  guestImage: reason ? { defaultPolicy: "stock", acknowledgeStockGuestImage: reason } : { defaultPolicy: "deny" },
  ...(kubeconfig ? { kubeconfig } : {}),
  ...(runtimeClass ? { runtimeClass } : {}),
});
const provider = clusterProvider(platform);

const pipeline = new ConfidentialPipeline("spam", {
  spec: spam,
  inputs: { mails: mailsFile },
  runKeys: config.getObject<string[]>("runKeys") ?? [],
  environment: environment({
    platform,
    relyingParty: new RelyingParty("relying-party", reference ? { reference } : {}),
    storage: new EncryptedStorage("storage"),
    backend: argoBackend({ namespace: config.get("namespace") ?? "sealflow", ...(provider ? { provider } : {}) }),
    ...(registry ? { registry } : {}),
  }),
});

export const { pipelineUid, ownerPublicKey, version, connectionFile } = pipeline;

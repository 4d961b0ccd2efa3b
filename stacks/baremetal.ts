/**
 * The spam filter on hosts of your own with SEV-SNP or TDX. Nothing is made but what runs in the cluster, after checks on
 * the hosts. Configuration: stacks/config/Pulumi.baremetal.yaml.
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
import {
  argoBackend,
  BareMetal,
  type BareMetalTee,
  ClusterPart,
  CocoRuntime,
  type PreflightArgs,
  workloadProvider,
} from "sealflow/kubernetes";
import { mailsFile, spam } from "../examples/spam-filter/pipeline";

const config = new pulumi.Config();
const registry = config.getObject<ImageRegistry>("registry");
const stock = config.get("stockGuestImage");
const preflight = config.getObject<PreflightArgs>("preflight");
const storeUrl = config.get("storeUrl");

const platform = new BareMetal("hosts", {
  tee: config.require<BareMetalTee>("tee"),
  nvidia: config.requireBoolean("nvidia"),
  kubeconfig: config.requireSecret("kubeconfig"),
  guestImagePolicy: stock ? "stock" : "deny",
  ...(stock ? { acknowledgeStockGuestImage: stock } : {}),
  ...(preflight ? { preflight } : {}),
});
const runtime = new CocoRuntime("runtime", { platform, nodeFeatureDiscovery: ClusterPart.Install });
const provider = workloadProvider("workloads", platform, runtime);

const pipeline = new ConfidentialPipeline("spam", {
  spec: spam,
  inputs: { mails: mailsFile },
  runKeys: config.getObject<string[]>("runKeys") ?? [],
  environment: environment({
    platform,
    relyingParty: new RelyingParty("relying-party", {
      reference: config.requireObject<RelyingPartyReference>("relyingParty"),
    }),
    // Any S3 endpoint; without one the ledger's own folder.
    storage: new EncryptedStorage("storage", storeUrl ? { kind: "s3", url: storeUrl } : {}),
    backend: argoBackend({ namespace: config.require("namespace"), provider }),
    ...(registry ? { registry } : {}),
  }),
});

export const { pipelineUid, ownerPublicKey, version, connectionFile } = pipeline;

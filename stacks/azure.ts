/**
 * The spam filter on Azure: one confidential VM for each step, beside an AKS cluster that is not trusted. Key broker and
 * ledger run elsewhere, where their owner trusts the machines. Configuration: stacks/config/Pulumi.azure.yaml.
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
import { AksPeerPods, type AzureTee, EncryptedContainer } from "sealflow/azure";
import { argoBackend, ClusterPart, CocoRuntime, workloadProvider } from "sealflow/kubernetes";
import { mailsFile, spam } from "../examples/spam-filter/pipeline";

const config = new pulumi.Config();
const registry = config.getObject<ImageRegistry>("registry");
const location = config.require("location");
const stock = config.get("stockGuestImage");
const ledgerPrincipalId = config.get("ledgerPrincipalId");

const platform = new AksPeerPods("cloud", {
  location,
  tee: config.require<AzureTee>("tee"),
  image: { id: config.require("guestImage"), defaultPolicy: stock ? "stock" : "deny" },
  sizes: { default: config.require("guestSize") },
  workers: { count: config.requireNumber("workers") },
  ...(stock ? { acknowledgeStockGuestImage: stock } : {}),
});
const runtime = new CocoRuntime("runtime", { platform, certManager: ClusterPart.Install });
const provider = workloadProvider("workloads", platform, runtime);

// With the ledger's identity a container for its objects; without it the ledger has its own.
const storage = ledgerPrincipalId
  ? new EncryptedContainer("objects", {
      resourceGroupName: config.require("storageGroup"),
      location,
      ledgerPrincipalId,
    })
  : new EncryptedStorage("storage");

const pipeline = new ConfidentialPipeline("spam", {
  spec: spam,
  inputs: { mails: mailsFile },
  runKeys: config.getObject<string[]>("runKeys") ?? [],
  environment: environment({
    platform,
    relyingParty: new RelyingParty("relying-party", {
      reference: config.requireObject<RelyingPartyReference>("relyingParty"),
    }),
    storage,
    backend: argoBackend({ namespace: config.require("namespace"), provider }),
    ...(registry ? { registry } : {}),
  }),
});

export const { pipelineUid, ownerPublicKey, version, connectionFile } = pipeline;
export const { kubeconfig, sweep } = platform;
/** For the ledger's setting; undefined: its own folder. */
export const storeUrl = storage.url;

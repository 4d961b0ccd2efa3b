/**
 * The spam filter on AWS, experimental: there evidence does not bind initdata, so whoever may start VMs in the account can
 * start another program with a step's keys. Configuration: stacks/config/Pulumi.aws.yaml.
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
import { EksPeerPods, EncryptedBucket } from "sealflow/aws";
import { argoBackend, ClusterPart, CocoRuntime, workloadProvider } from "sealflow/kubernetes";
import { mailsFile, spam } from "../examples/spam-filter/pipeline";

const config = new pulumi.Config();
const registry = config.getObject<ImageRegistry>("registry");
const stock = config.get("stockGuestImage");
const ledgerRoleArn = config.get("ledgerRoleArn");

const platform = new EksPeerPods("cloud", {
  image: { id: config.require("guestImage"), defaultPolicy: stock ? "stock" : "deny" },
  sizes: { default: config.require("guestSize") },
  workers: { count: config.requireNumber("workers") },
  acknowledgeUnboundInitdata: config.requireBoolean("acknowledgeUnboundInitdata"),
  ...(stock ? { acknowledgeStockGuestImage: stock } : {}),
});
const runtime = new CocoRuntime("runtime", { platform, certManager: ClusterPart.Install });
const provider = workloadProvider("workloads", platform, runtime);

// With the ledger's role a bucket for its objects; without it the ledger has its own.
const storage = ledgerRoleArn ? new EncryptedBucket("objects", { ledgerRoleArn }) : new EncryptedStorage("storage");

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

/** The spam filter on this machine: simulated guests, relying party by `npx sealflow dev`. */
import * as pulumi from "@pulumi/pulumi";
import { ConfidentialPipeline, localEnvironment } from "sealflow";
import { mailsFile, spam } from "../examples/spam-filter/pipeline";

// Only for machines without namespaces, where steps cannot be kept apart from the runner: says why that is accepted.
const trustPrograms = new pulumi.Config().get("trustPrograms");

const pipeline = new ConfidentialPipeline("spam", {
  spec: spam,
  inputs: { mails: mailsFile },
  environment: localEnvironment("local", trustPrograms ? { trustPrograms } : {}),
});

export const { pipelineUid, ownerPublicKey, version, connectionFile } = pipeline;

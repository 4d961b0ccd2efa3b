import type { AnyDefinition } from "../server/definition";
import { kbsAdminKey } from "./kbs-admin-key";
import { kbsPolicy } from "./kbs-policy";
import { kbsReferenceValue } from "./kbs-reference-value";
import { kbsResource } from "./kbs-resource";
import { ledgerKeys } from "./ledger-keys";
import { localWorkload } from "./local-workload";
import { pipelineKeys } from "./pipeline-keys";
import { pipelineVersion } from "./pipeline-version";
import { referenceValuesResource } from "./reference-values";
import { runtimeReadiness } from "./runtime-readiness";
import { sealedDataset } from "./sealed-dataset";
import { sealedImage } from "./sealed-image";
import { serviceImage } from "./service-image";
import { stepIdentity } from "./step-identity";
import { tlsCertificate } from "./tls-certificate";

/** Everything that the plugin offers. */
export const definitions: readonly AnyDefinition[] = [
  pipelineKeys,
  sealedImage,
  sealedDataset,
  stepIdentity,
  pipelineVersion,
  localWorkload,
  kbsResource,
  kbsAdminKey,
  kbsPolicy,
  kbsReferenceValue,
  referenceValuesResource,
  runtimeReadiness,
  tlsCertificate,
  ledgerKeys,
  serviceImage,
];

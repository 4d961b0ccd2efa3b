import { ADAPTOR_RELEASE } from "../model/platforms";

/**
 * Every upstream version that Sealflow's texts are written for, in one place.
 *
 * The rule for changing one: the agent policy, initdata, Trustee policies and configuration were checked against exactly
 * these. So a change comes with (1) the request vectors of the new agent and the claims of the new Trustee in
 * test/vectors, (2) the tests in test/policy passing under the engine version that the new guest and Trustee contain
 * (tools/regorus/Cargo.toml), (3) new reference values, because a new guest image measures differently, and (4) a line in
 * docs/trust saying what changed. Kata, the guest image and cloud-api-adaptor come from one CoCo release; never mix them.
 */
export const VERSIONS = {
  /** Confidential Containers: the release that the others belong to. */
  coco: "0.23.0",
  kata: "4.2.0",
  /** Key broker, attestation service, reference values; guest-components have the same number. */
  trustee: "0.22.0",
  /** Release of Cloud API Adaptor; guest images must be built from the same (model/platforms checks it). */
  cloudApiAdaptor: ADAPTOR_RELEASE,
  /** Tag of its container images: the commit of that release, because the charts' default tags move. */
  cloudApiAdaptorImages: "61b1aba91df646a663e60ab6b55c6a7dc93cd167",
  kbsProtocol: "0.4.0",
  initdata: "0.1.0",
  charts: {
    /** oci://ghcr.io/confidential-containers/charts/confidential-containers */
    confidentialContainers: "0.23.0",
    /** oci://ghcr.io/confidential-containers/cloud-api-adaptor/charts/peerpods */
    peerPods: "0.4.0",
    /** Only in Trustee's own repository, deployment/helm-chart; not in a chart registry. */
    trustee: "0.21.0",
    /** oci://quay.io/jetstack/charts/cert-manager; the version that Cloud API Adaptor is tested with. */
    certManager: "v1.15.3",
    /** oci://ghcr.io/cloudnative-pg/charts/cloudnative-pg: the operator 1.30.0, for databases of the relying party. */
    cloudNativePg: "0.29.0",
  },
  /** Archived upstream; only for clusters that have it. */
  operator: "0.17.0",
  argoWorkflows: "4.1.2",
} as const;

/** Trustee versions whose configuration can be written; see trustee/config/. */
export const TRUSTEE_CONFIG_VERSIONS = ["0.20", "0.21", "0.22"] as const;
export type TrusteeConfigVersion = (typeof TRUSTEE_CONFIG_VERSIONS)[number];

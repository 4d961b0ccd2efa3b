/** aws as far as Sealflow's components use it. */
import type { Json } from "../../../provider/server/values";
import { type CloudModel, type TypeModel, text } from "./model";
import type { Existing, Store } from "./store";

export const ACCOUNT = "123456789012";
export const REGION = "us-east-2";

const arn = (service: string, rest: string, region = REGION): string =>
  `arn:aws:${service}:${region}:${ACCOUNT}:${rest}`;

/** Something of EC2: its id is a prefix and seventeen hex digits. */
function ec2(prefix: string, kind: string, more: Partial<TypeModel> = {}): TypeModel {
  const { outputs, ...rest } = more;
  return {
    id: (_inputs, random) => `${prefix}-${random}`,
    outputs: (inputs, id, store) => ({
      arn: arn("ec2", `${kind}/${id}`),
      ownerId: ACCOUNT,
      region: text(inputs.region) || REGION,
      ...(outputs?.(inputs, id, store) ?? {}),
    }),
    ...rest,
  };
}

/** Something that is known by its name. */
function named(service: string, kind: string, name: string, more: Partial<TypeModel> = {}): TypeModel {
  const { outputs, ...rest } = more;
  return {
    name,
    id: (inputs) => text(inputs[name]),
    outputs: (inputs, id, store) => ({
      arn: arn(service, `${kind}/${id}`, service === "iam" ? "" : REGION),
      ...(outputs?.(inputs, id, store) ?? {}),
    }),
    ...rest,
  };
}

/** A part of a bucket. Its real id is the bucket's name; here it says which part it is, so that each has its own. */
const part = (kind: string): TypeModel => ({
  id: (inputs) => `${kind} ${text(inputs.bucket)}`,
  needs: (inputs) => [text(inputs.bucket)],
  replaces: ["bucket"],
});

const attached = (store: Store, roleArn: string): string[] => {
  const role = roleArn.split("/").pop();
  return store
    .all()
    .flatMap(({ type, inputs }) =>
      type === "aws:iam/rolePolicyAttachment:RolePolicyAttachment" && inputs.role === role
        ? text(inputs.policyArn)
        : [],
    );
};

const lacks = (store: Store, roleArn: Json | undefined, policies: readonly string[]): string | undefined => {
  const have = attached(store, text(roleArn));
  const missing = policies.find((policy) => !have.includes(`arn:aws:iam::aws:policy/${policy}`));
  return missing && `InvalidParameterException: role ${text(roleArn)} lacks the policy ${missing}`;
};

const vpcOf = (store: Store, subnet: Json | undefined): Json | undefined => store.get(text(subnet))?.inputs.vpcId;

const NODE_POLICIES = ["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryReadOnly"];

const rule = (direction: string): TypeModel =>
  ec2(`sgr-${direction}`, "security-group-rule", {
    outputs: (_inputs, id) => ({ securityGroupRuleId: id }),
    replaces: ["securityGroupId"],
  });

const TYPES: Readonly<Record<string, TypeModel>> = {
  "aws:ec2/vpc:Vpc": ec2("vpc", "vpc", { replaces: ["cidrBlock"] }),
  "aws:ec2/subnet:Subnet": ec2("subnet", "subnet", { replaces: ["vpcId", "cidrBlock", "availabilityZone"] }),
  "aws:ec2/internetGateway:InternetGateway": ec2("igw", "internet-gateway"),
  "aws:ec2/eip:Eip": ec2("eipalloc", "elastic-ip", {
    outputs: (_inputs, id) => ({ allocationId: id, publicIp: "203.0.113.20" }),
  }),
  "aws:ec2/natGateway:NatGateway": ec2("nat", "natgateway", {
    replaces: ["subnetId", "allocationId"],
    // A public NAT gateway uses the network's internet gateway, which none of its inputs names.
    needs: (inputs, store) =>
      store
        .all()
        .flatMap(({ id, type, inputs: other }) =>
          type === "aws:ec2/internetGateway:InternetGateway" && other.vpcId === vpcOf(store, inputs.subnetId) ? id : [],
        ),
    refuse: (inputs, store) =>
      store.all().some(({ type, inputs: other }) => {
        return type === "aws:ec2/internetGateway:InternetGateway" && other.vpcId === vpcOf(store, inputs.subnetId);
      })
        ? undefined
        : "Gateway.NotAttached: Network has no Internet gateway attached",
  }),
  "aws:ec2/routeTable:RouteTable": ec2("rtb", "route-table", { replaces: ["vpcId"] }),
  "aws:ec2/route:Route": ec2("r", "route", { replaces: ["routeTableId", "destinationCidrBlock"] }),
  "aws:ec2/routeTableAssociation:RouteTableAssociation": ec2("rtbassoc", "route-table-association", {
    replaces: ["subnetId"],
  }),
  "aws:ec2/securityGroup:SecurityGroup": ec2("sg", "security-group", {
    name: "name",
    replaces: ["vpcId", "description"],
  }),
  "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": rule("in"),
  "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": rule("out"),
  "aws:ec2/launchTemplate:LaunchTemplate": ec2("lt", "launch-template", {
    name: "name",
    outputs: () => ({ latestVersion: 1, defaultVersion: 1 }),
  }),
  "aws:autoscaling/group:Group": named("autoscaling", "autoScalingGroup", "name"),
  "aws:iam/role:Role": named("iam", "role", "name", {
    outputs: (_inputs, id) => ({ uniqueId: `AROA${id.length}` }),
  }),
  "aws:iam/rolePolicy:RolePolicy": {
    name: "name",
    id: (inputs) => `${text(inputs.role)}:${text(inputs.name)}`,
    replaces: ["role"],
  },
  "aws:iam/rolePolicyAttachment:RolePolicyAttachment": {
    id: (inputs) => `${text(inputs.role)}/${text(inputs.policyArn)}`,
    replaces: ["role", "policyArn"],
  },
  "aws:iam/instanceProfile:InstanceProfile": named("iam", "instance-profile", "name"),
  "aws:iam/openIdConnectProvider:OpenIdConnectProvider": {
    id: (inputs) => arn("iam", `oidc-provider/${text(inputs.url).replace(/^https:\/\//, "")}`, ""),
    replaces: ["url"],
    outputs: (_inputs, id) => ({ arn: id, thumbprintLists: ["06b25927c42a721631c1efd9431e648fa62e1e39"] }),
  },
  "aws:eks/cluster:Cluster": named("eks", "cluster", "name", {
    replaces: ["roleArn"],
    outputs: (inputs, id, store) => ({
      endpoint: store.settings.endpoint ?? `https://${id}.gr7.${REGION}.eks.amazonaws.com`,
      certificateAuthority: {
        data: store.settings.authority ?? Buffer.from("certificate of the stand-in").toString("base64"),
      },
      identities: [{ oidcs: [{ issuer: `https://oidc.eks.${REGION}.amazonaws.com/id/${id.toUpperCase()}` }] }],
      status: "ACTIVE",
      platformVersion: "eks.1",
      vpcConfig: {
        ...(inputs.vpcConfig as Record<string, Json>),
        clusterSecurityGroupId: `sg-cluster-${id}`,
        vpcId: "vpc-of-the-cluster",
      },
    }),
    refuse: (inputs, store) => lacks(store, inputs.roleArn, ["AmazonEKSClusterPolicy"]),
  }),
  "aws:eks/nodeGroup:NodeGroup": {
    name: "nodeGroupName",
    id: (inputs) => `${text(inputs.clusterName)}:${text(inputs.nodeGroupName)}`,
    replaces: ["clusterName", "nodeRoleArn", "subnetIds", "amiType", "instanceTypes"],
    outputs: (_inputs, id) => ({ arn: arn("eks", `nodegroup/${id}`), status: "ACTIVE" }),
    refuse: (inputs, store) => {
      const labels = Object.entries((inputs.labels ?? {}) as Record<string, Json>);
      const empty = labels.find(([, value]) => value === "");
      if (empty) return `InvalidParameterException: Label value for key ${empty[0]} must not be empty`;
      return lacks(store, inputs.nodeRoleArn, NODE_POLICIES);
    },
  },
  "aws:eks/accessEntry:AccessEntry": {
    id: (inputs) => `${text(inputs.clusterName)}:${text(inputs.principalArn)}`,
    replaces: ["clusterName", "principalArn", "type"],
    outputs: (_inputs, id) => ({ accessEntryArn: arn("eks", `access-entry/${id}`) }),
  },
  "aws:kms/key:Key": ec2("key", "key", {
    outputs: (_inputs, id) => ({ arn: arn("kms", `key/${id}`), keyId: id }),
  }),
  "aws:s3/bucket:Bucket": {
    name: "bucket",
    autoName: (logical, random) => `${logical.toLowerCase()}-${random}`,
    id: (inputs) => text(inputs.bucket),
    outputs: (_inputs, id) => ({
      arn: `arn:aws:s3:::${id}`,
      bucketRegionalDomainName: `${id}.s3.${REGION}.amazonaws.com`,
    }),
  },
  "aws:s3/bucketVersioning:BucketVersioning": part("versioning"),
  "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": part("lifecycle"),
  "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": part("public access block"),
  "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": part("encryption"),
  "aws:s3/bucketOwnershipControls:BucketOwnershipControls": part("ownership"),
  "aws:s3/bucketPolicy:BucketPolicy": {
    ...part("policy"),
    refuse: (inputs) => (isJson(inputs.policy) ? undefined : "MalformedPolicy: Policies must be valid JSON"),
  },
};

function isJson(value: Json | undefined): boolean {
  try {
    return typeof JSON.parse(text(value)) === "object";
  } catch {
    return false;
  }
}

const inUse = (gone: Existing, by: Existing): string =>
  gone.type === "aws:iam/role:Role"
    ? `DeleteConflict: Cannot delete entity ${gone.id}, ${by.id} must be detached first`
    : `DependencyViolation: ${gone.id} has dependencies (${by.id}) and cannot be deleted`;

/** What the adaptor makes for a pod, and what stays behind when it dies. */
export function leakPodInstance(store: Store, subnetId: string, tags: Readonly<Record<string, string>>): void {
  const id = "i-0123456789abcdef0";
  store.put({ id, type: "AWS::EC2::Instance", name: "", inputs: { subnetId, tags }, outputs: {} });
}

export const AWS: CloudModel = {
  pkg: "aws",
  types: TYPES,
  inUse,
  invokes: {
    "aws:index/getCallerIdentity:getCallerIdentity": () => ({
      accountId: ACCOUNT,
      arn: arn("iam", "user/deployer", ""),
      userId: "AIDASTANDIN",
      id: ACCOUNT,
    }),
    "aws:index/getPartition:getPartition": () => ({
      partition: "aws",
      dnsSuffix: "amazonaws.com",
      id: "aws",
      reverseDnsPrefix: "com.amazonaws",
    }),
    "aws:index/getAvailabilityZones:getAvailabilityZones": (_args, store) => ({
      names: [...(store.settings.zones ?? "abc")].map((zone) => REGION + zone),
      zoneIds: ["use2-az1", "use2-az2", "use2-az3"],
      groupNames: [],
      id: REGION,
    }),
  },
};

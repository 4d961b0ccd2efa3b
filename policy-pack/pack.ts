/** The pack itself: `pulumi preview --policy-pack node_modules/sealflow/plugin/policy-pack`. */
import { PolicyPack } from "@pulumi/policy";
import { sealflowPolicies } from "./policies";

new PolicyPack("sealflow", { policies: sealflowPolicies() });

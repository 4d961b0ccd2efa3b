/** Two stacks: `local` has two pipelines, `reader` reads what one of them releases to it. */
import * as pulumi from "@pulumi/pulumi";

export = pulumi.getStack() === "reader" ? require("./reader") : require("./counts");

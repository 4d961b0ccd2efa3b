import { existsSync, readFileSync } from "node:fs";
import * as path from "node:path";
import * as pulumi from "@pulumi/pulumi";

/**
 * Key broker and ledger. Local: what `npx sealflow dev` runs for this project; the provider finds it by itself, and
 * these outputs are for the program to show.
 */
export class RelyingParty extends pulumi.ComponentResource {
  /** Public: auditors verify with it. undefined before the relying party has run for the first time, as the others. */
  readonly ledgerKey: pulumi.Output<string | undefined>;
  readonly kbsUrl: pulumi.Output<string | undefined>;
  readonly ledgerUrl: pulumi.Output<string | undefined>;

  constructor(name: string, opts?: pulumi.ComponentResourceOptions) {
    super("sealflow:index:RelyingParty", name, {}, opts);
    const connection = readConnection(path.join(pulumi.runtime.getRootDirectory(), ".sealflow", "connection.json"));
    this.ledgerKey = pulumi.output(connection.ledgerKey);
    this.kbsUrl = pulumi.output(connection.kbsUrl);
    this.ledgerUrl = pulumi.output(connection.ledgerUrl);
    // Not the URLs: their ports differ from machine to machine, and belong into no state.
    this.registerOutputs({ ledgerKey: this.ledgerKey });
  }
}

interface Public {
  ledgerKey?: string;
  kbsUrl?: string;
  ledgerUrl?: string;
}

/** Missing or damaged: the provider says so where it matters, with the remedy. */
function readConnection(file: string): Public {
  if (!existsSync(file)) return {};
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Public;
  } catch {
    return {};
  }
}

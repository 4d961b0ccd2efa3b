import { existsSync, readFileSync } from "node:fs";
import * as path from "node:path";
import * as pulumi from "@pulumi/pulumi";
import type { RelyingPartyReference } from "../../resources/relying-party-reference";

/** What an environment needs of a relying party, whichever component deployed it. */
export interface RelyingPartyOutputs {
  /** undefined: the one of this machine, which the provider finds by itself. */
  readonly reference?: RelyingPartyReference | undefined;
  /** Resource of the same stack whose deletion takes keys and grants along, so that a destroy leaves those out. */
  readonly deletedWith?: pulumi.Resource | undefined;
}

export interface RelyingPartyArgs {
  /** A relying party that runs elsewhere. @default the one of this machine, `npx sealflow dev` */
  reference?: RelyingPartyReference;
}

/** Key broker and ledger that are there already: what `npx sealflow dev` runs for this project, or others by reference. */
export class RelyingParty extends pulumi.ComponentResource implements RelyingPartyOutputs {
  readonly reference?: RelyingPartyReference | undefined;
  /** Public: auditors verify with it. undefined before a local one has run for the first time, as the others. */
  readonly ledgerKey: pulumi.Output<string | undefined>;
  readonly kbsUrl: pulumi.Output<string | undefined>;
  readonly ledgerUrl: pulumi.Output<string | undefined>;

  constructor(name: string, args: RelyingPartyArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    super("sealflow:index:RelyingParty", name, {}, opts);
    this.reference = args.reference;
    const found = args.reference ?? readConnection();
    this.ledgerKey = pulumi.output(found.ledgerKey);
    this.kbsUrl = pulumi.output(found.kbsUrl);
    this.ledgerUrl = pulumi.output(found.ledgerUrl);
    // Not the URLs of a local one: their ports differ from machine to machine, and belong into no state.
    this.registerOutputs({ ledgerKey: this.ledgerKey, ...args.reference });
  }
}

/** What a guest is told of the relying party, for those who render its manifest. @throws RunError when there is none. */
export function guestReference({
  reference,
}: RelyingPartyOutputs): Record<"kbsUrl" | "ledgerUrl" | "caPem", pulumi.Input<string>> {
  if (reference) return { kbsUrl: reference.kbsUrl, ledgerUrl: reference.ledgerUrl, caPem: reference.caPem };
  const { kbsUrl, ledgerUrl, caPem } = readConnection();
  if (kbsUrl !== undefined && ledgerUrl !== undefined && caPem !== undefined) return { kbsUrl, ledgerUrl, caPem };
  throw new pulumi.RunError(
    "no relying party: this project has no .sealflow/connection.json. Start it with `npx sealflow dev`, or pass a reference",
  );
}

type Public = Partial<Record<"ledgerKey" | "kbsUrl" | "ledgerUrl" | "caPem", string>>;

/** Missing or damaged: the provider says so where it matters, with the remedy. */
function readConnection(): Public {
  const file = path.join(pulumi.runtime.getRootDirectory(), ".sealflow", "connection.json");
  if (!existsSync(file)) return {};
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Public;
  } catch {
    return {};
  }
}

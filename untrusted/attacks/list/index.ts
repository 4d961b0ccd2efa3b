/** All attacks, by number. 1 to 21 are the list of docs/attacks.md's sources; the others are this project's own. */
import type { Attack, Missing } from "../types";
import { imageName } from "./01-image-name";
import { pullSource } from "./02-pull-source";
import { hostRootfs } from "./03-host-rootfs";
import { secondPull } from "./04-second-pull";
import { sandboxStorage } from "./05-sandbox-storage";
import { mountsAndPreload } from "./06-mounts-and-preload";
import { hooks } from "./07-hooks";
import { manifest } from "./08-manifest";
import { initdata } from "./09-initdata";
import { noHardware } from "./10-no-hardware";
import { objects } from "./11-objects";
import { storeRollback } from "./12-store-rollback";
import { twice } from "./13-twice";
import { fakeResult } from "./14-fake-result";
import { crossWiring } from "./15-cross-wiring";
import { oldVersion } from "./16-old-version";
import { fakeServices } from "./17-fake-services";
import { outage } from "./18-outage";
import { leaks } from "./19-leaks";
import { disk } from "./20-disk";
import { pickle } from "./21-pickle";
import { program } from "./22-program";
import { oldBundle } from "./23-old-bundle";
import { mintedRuns } from "./24-minted-runs";
import { parameters } from "./25-parameters";
import { forgedAnswers } from "./26-forged-answers";
import { ledgerRestored } from "./27-ledger-restored";
import { forgedProducer } from "./28-forged-producer";
import { twoPlaintexts } from "./29-two-plaintexts";
import { chosenRetry } from "./30-chosen-retry";
import { ownKeys } from "./31-own-keys";
import { folder } from "./32-folder";
import { objectUrls } from "./33-object-urls";
import { kbsSessions } from "./34-kbs-sessions";
import { replayedClaims } from "./35-replayed-claims";
import { forgedSuperseded } from "./36-forged-superseded";
import { runHints } from "./37-run-hints";
import { registry } from "./38-registry";
import { strangers } from "./39-strangers";
import { slots } from "./40-slots";
import { conditions } from "./41-conditions";
import { swappedProducer } from "./42-swapped-producer";
import { oldKeys } from "./43-old-keys";

export const ATTACKS: readonly Attack[] = [
  imageName,
  pullSource,
  hostRootfs,
  secondPull,
  sandboxStorage,
  mountsAndPreload,
  hooks,
  manifest,
  initdata,
  noHardware,
  objects,
  storeRollback,
  twice,
  fakeResult,
  crossWiring,
  oldVersion,
  fakeServices,
  outage,
  leaks,
  disk,
  pickle,
  program,
  oldBundle,
  mintedRuns,
  parameters,
  forgedAnswers,
  ledgerRestored,
  forgedProducer,
  twoPlaintexts,
  chosenRetry,
  ownKeys,
  folder,
  objectUrls,
  kbsSessions,
  replayedClaims,
  forgedSuperseded,
  runHints,
  registry,
  strangers,
  slots,
  conditions,
  swappedProducer,
  oldKeys,
];

/** What only a cluster shows: admission, the real runtime class, status and events of real objects. */
export const MISSING: readonly Missing[] = [
  {
    number: 60,
    title: "an admission webhook rewrites pods on their way",
    power: "control plane",
    needs: "the API server",
  },
  {
    number: 61,
    title: "a RuntimeClass object points to a plain handler",
    power: "control plane",
    needs: "the API server",
  },
  {
    number: 62,
    title: "status, events and termination messages searched for secrets",
    power: "control plane",
    needs: "the API server",
  },
];

import { sqlite } from "../support/ledger-engines";
import { featuresSuite } from "./suites/features";
import { ledgerSuite } from "./suites/ledger";

ledgerSuite(sqlite);
featuresSuite(sqlite);

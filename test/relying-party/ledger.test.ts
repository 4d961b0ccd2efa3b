import { sqlite } from "../support/ledger-engines";
import { ledgerSuite } from "./suites/ledger";

ledgerSuite(sqlite);

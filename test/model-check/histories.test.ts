import { sqlite } from "../support/ledger-engines";
import { checkHistories } from "./check";

// Enough to find a careless change; the slow suites have the thousands.
checkHistories(sqlite, 100);

export {
  LEDGER_PORT,
  LEDGER_SECRETS,
  type LedgerIdentity,
  type LedgerServiceArgs,
  ledgerService,
  STORE_CREDENTIALS,
} from "./ledger";
export { PARTS_OF_SERVICE, type PartOfService } from "./service";
export {
  DATABASE_SECRETS,
  databaseSecrets,
  TRUSTEE_PORT,
  TRUSTEE_SECRETS,
  type TrusteeService,
  type TrusteeServiceArgs,
  trusteeService,
} from "./trustee";

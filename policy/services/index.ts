export {
  CNPG_NAMESPACE,
  clusterAccess,
  DATABASE_SECRETS,
  type DatabaseAccess,
  type DatabaseArgs,
  databaseName,
  databaseObjects,
  databaseSecrets,
  urlAccess,
} from "./database";
export {
  LEDGER_PORT,
  LEDGER_SECRETS,
  type LedgerIdentity,
  type LedgerServiceArgs,
  ledgerService,
  STORE_CREDENTIALS,
} from "./ledger";
export { reloading } from "./reload";
export { PARTS_OF_SERVICE, type PartOfService } from "./service";
export { startDigest } from "./start";
export { type IssuedCertificateArgs, type IssuerRef, issuedCertificate, pinnedCaProblems, TLS_SECRETS } from "./tls";
export {
  TRUSTEE_PORT,
  TRUSTEE_SECRETS,
  type TrusteeService,
  type TrusteeServiceArgs,
  trusteeService,
} from "./trustee";

/** The attack harness's scan, for tests. */
export * from "../../untrusted/attacks/support/scan";

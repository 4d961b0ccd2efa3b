export * from "./open";
export * from "./tink";

export * from "./ensure";
export * from "./errors";

export * from "./attempts";
export * from "./fetch";
export * from "./folder";

export * from "./fetch";
export * from "./folder";

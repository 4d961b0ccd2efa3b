export * from "./derive";
export * from "./errors";
export * from "./plan";

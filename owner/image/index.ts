export * from "./seal";
export * from "./source";

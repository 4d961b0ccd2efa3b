export * from "./seal";

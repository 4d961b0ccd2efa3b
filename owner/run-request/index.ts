export * from "./run-request";

export type { PinnedHead } from "./log";
export * from "./report";
export * from "./verify";

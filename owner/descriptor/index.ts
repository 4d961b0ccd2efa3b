export * from "./descriptor";

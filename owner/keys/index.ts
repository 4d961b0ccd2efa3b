export * from "./errors";
export * from "./facts";
export * from "./jwk";
export * from "./root";

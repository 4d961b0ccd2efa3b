export * from "./errors";
export * from "./facts";
export * from "./jwk";
export { readPrivateFile, writePrivateFile } from "./private-file";
export * from "./root";

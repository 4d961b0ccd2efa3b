export * from "./errors";
export * from "./facts";
export * from "./jwk";
export { writePrivateFile } from "./private-file";
export * from "./root";

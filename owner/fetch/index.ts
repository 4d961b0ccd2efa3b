export * from "./attempts";
export * from "./fetch";
export * from "./folder";
export { type OpenFolderOptions, openRunFolder } from "./releases";

export { TempFile, WRITTEN_AT_ONCE, writeAtomic } from "./atomic";
export * from "./errors";
export { folderEntries, IGNORE_FILE } from "./folder";
export { Layout } from "./layout";
export { descriptorJson, exclusively, LayoutWriter } from "./layout-writer";
export { readRegular } from "./read";
export { TAR_END, type TarEntry, tar, tarEntries, tarFile } from "./tar";

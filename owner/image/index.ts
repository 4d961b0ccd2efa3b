export type { ImageSource } from "../../model/spec";
export * from "./errors";
export { KEK_ANNOTATION, SOURCE_ANNOTATION } from "./known";
export { digestSource } from "./measure";
export { SALT_FILE } from "./salt";
export {
  type PublicLayer,
  removeSealedImage,
  type SealedImage,
  type SealOptions,
  sealImage,
} from "./seal";

export type { ImageSource } from "../../model/spec";
export * from "./errors";
export { digestSource } from "./measure";
export { SALT_FILE } from "./salt";
export {
  KEK_ANNOTATION,
  type PublicLayer,
  removeSealedImage,
  type SealedImage,
  type SealOptions,
  sealImage,
} from "./seal";

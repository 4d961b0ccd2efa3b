/** The runner's memory is the guest's: measured by `npm run bench -- memory`. */
export { release } from "../../protocol/bytes";

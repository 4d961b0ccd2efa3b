export { type CaArgs, DAY_MS, type LeafArgs, makeCa, makeLeaf, type Pair } from "./certificates";

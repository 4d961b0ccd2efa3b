/** By which pods choose nodes that are confidential as a whole; nothing else keeps other pods away from them. */
export const CONFIDENTIAL_NODE_LABELS: Readonly<Record<string, string>> = { "sealflow-confidential-node": "snp" };

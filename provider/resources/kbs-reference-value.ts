import { NO_VALUES } from "../../policy";
import { jcsDigest } from "../../protocol/canonical";
import { text } from "../../protocol/shape";
import {
  type AtRelyingParty,
  brokerField,
  brokerOf,
  deleteAt,
  relyingPartyField,
  withRelyingParty,
} from "../relying-party";
import type { Definition, Failure } from "../server/definition";
import type { Json } from "../server/values";
import { shapeFailures } from "../shapes";

interface Inputs extends AtRelyingParty {
  valueId: string;
  value: Json;
  broker?: string;
}
interface Outputs {
  /** Of what a refresh found. */
  digest: string;
}

/** Set by resources that check what they set. The rest under `sealflow.`, such as NVIDIA's versions, is given by hand. */
const OWN = /^sealflow\.(grant|snp|tdx|az-snp-vtpm|az-tdx-vtpm)\./;
const ID = text({ max: 255, pattern: /^[A-Za-z0-9._/-]+$/, what: "letters, digits and . _ / -, at most 255" });

/** One value for policies of others. Sealflow's own come as sets, which are checked. */
export const kbsReferenceValue: Definition<Inputs, Outputs> = {
  name: "KbsReferenceValue",
  about: "A reference value in a key broker. Sealflow's own are made by ReferenceValues and StepIdentity.",
  inputs: {
    valueId: {
      type: "string",
      change: "replace",
      about: "Id; [A-Za-z0-9._/-], at most 255. Not grants or measurements.",
    },
    value: { type: "json", about: "Any JSON: a list, where any of several is meant." },
    relyingParty: relyingPartyField,
    broker: brokerField,
  },
  outputs: { digest: { type: "string", about: "Digest of the value in the key broker." } },
  deleteFirst: true,

  async check(context, news, olds, pending) {
    const failures: Failure[] = shapeFailures(news, { valueId: ID });
    if (OWN.test(news.valueId ?? "")) {
      const own = "Sealflow's own: measurements are made by ReferenceValues, grants by StepIdentity. Take another id";
      failures.push({ property: "valueId", reason: `"${news.valueId}" is ${own}` });
    }
    return { computed: { broker: brokerOf({ context, news, pending }, olds?.broker) }, failures };
  },

  async create(context, inputs) {
    await withRelyingParty(context, inputs, ({ kbs }) => kbs.putReferenceValue(inputs.valueId, inputs.value));
    return { id: inputs.valueId, outputs: { digest: jcsDigest(inputs.value) } };
  },

  async update(context, _old, inputs) {
    await withRelyingParty(context, inputs, ({ kbs }) => kbs.putReferenceValue(inputs.valueId, inputs.value));
    return { digest: jcsDigest(inputs.value) };
  },

  async read(context, { inputs }) {
    const found = await withRelyingParty(context, inputs, ({ kbs }) => kbs.referenceValue(inputs.valueId));
    return found === undefined ? undefined : { digest: jcsDigest(found) };
  },

  drift: ({ inputs, outputs }) =>
    inputs.value !== undefined && outputs.digest !== jcsDigest(inputs.value) ? ["digest"] : [],

  async delete(context, { inputs }) {
    await deleteAt(context, inputs, `the reference value ${inputs.valueId}`, ({ kbs }) =>
      kbs.putReferenceValue(inputs.valueId, NO_VALUES),
    );
    context.log.info(`empties ${inputs.valueId}: Trustee cannot delete reference values`);
  },
};

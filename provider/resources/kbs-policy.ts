import { POLICY_SLOTS, type PolicyMode, type PolicySlot, policyIn } from "../../policy";
import { reason } from "../../protocol/messages/common";
import { literal } from "../../protocol/shape";
import { type AtRelyingParty, brokerField, brokerOf, relyingPartyField, withRelyingParty } from "../relying-party";
import type { Context } from "../server/context";
import type { Definition } from "../server/definition";
import { shapeFailures } from "../shapes";

interface Inputs extends AtRelyingParty {
  policy: PolicySlot;
  acceptSimulatedGuests?: string;
  text?: string;
  broker?: string;
}
interface Outputs {
  /** Empty when a refresh found that it is not installed. */
  sha256: string;
}

const modeOf = (inputs: Pick<Inputs, "acceptSimulatedGuests">): PolicyMode =>
  inputs.acceptSimulatedGuests === undefined ? "production" : "development";

/** Texts are the package's own and in no state; a digest tells which. They cannot be read back, so a canary tries them. */
export const kbsPolicy: Definition<Inputs, Outputs> = {
  name: "KbsPolicy",
  about: "One of Sealflow's policies in a key broker: who is believed, and what is released to whom.",
  inputs: {
    policy: { type: "string", change: "replace", about: `One of ${POLICY_SLOTS.join(", ")}.` },
    acceptSimulatedGuests: {
      type: "string",
      optional: true,
      about: "Reason for believing guests that no hardware vouches for; of the policy attestation-cpu. Default: never.",
    },
    relyingParty: relyingPartyField,
    text: { type: "string", optional: true, computed: true, about: "SHA-256 of the policy's text." },
    broker: brokerField,
  },
  outputs: { sha256: { type: "string", about: "SHA-256 of the installed text; empty when it was not found." } },

  async check(context, news, olds, pending) {
    const { policy, acceptSimulatedGuests: accepted } = news;
    const failures = shapeFailures(news, { policy: literal(...POLICY_SLOTS), acceptSimulatedGuests: reason });
    if (failures.length > 0 || policy === undefined) return { failures };
    if (accepted !== undefined && policy !== "attestation-cpu") {
      const why = 'only policy "attestation-cpu" tells simulated guests apart; remove it';
      return { failures: [{ property: "acceptSimulatedGuests", reason: why }] };
    }
    if (accepted !== undefined) context.log.warn(`the key broker believes simulated guests: ${accepted}`);
    const text = policyIn(policy, modeOf(news)).sha256;
    return { computed: { text, broker: brokerOf({ context, news, pending }, olds?.broker) } };
  },

  async create(context, inputs) {
    return { id: inputs.policy, outputs: await install(context, inputs) };
  },

  update: (context, _old, inputs) => install(context, inputs),

  /** No canary tells anything about evidence of GPUs: there is no simulated one that Trustee appraises as such. */
  async read(context, { inputs, outputs }) {
    if (inputs.policy === "attestation-gpu") return outputs;
    const expected = inputs.policy === "attestation-cpu" ? modeOf(inputs) : "any";
    try {
      await withRelyingParty(context, inputs, ({ kbs }) => kbs.canary(expected));
      return outputs;
    } catch (error) {
      if ((error as { code?: unknown }).code !== "POLICIES") throw error;
      context.log.warn((error as Error).message);
      return { sha256: "" };
    }
  },

  drift: ({ outputs }) => (outputs.sha256 === "" ? ["sha256"] : []),

  async delete(context, { inputs }) {
    const closed = "it stays, and releases nothing without a grant";
    context.log.info(`leaves the policy ${inputs.policy}: Trustee cannot delete policies; ${closed}`);
  },
};

async function install(context: Context, inputs: Inputs): Promise<Outputs> {
  const mode = modeOf(inputs);
  await withRelyingParty(context, inputs, ({ kbs }) => kbs.putPolicy(inputs.policy), { mode });
  return { sha256: policyIn(inputs.policy, mode).sha256 };
}

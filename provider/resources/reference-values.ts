import { existsSync } from "node:fs";
import { checkGuestImage, NO_VALUES, PolicyError, PRODUCTION_TEES } from "../../policy";
import { jcs, jcsDigest } from "../../protocol/canonical";
import { list, literal, text } from "../../protocol/shape";
import type { KbsAdmin } from "../../relying-party/kbs-client";
import { filesOf, type ReferenceSource, type Registered, registeredOf, valuesOf } from "../reference-set";
import {
  type AtRelyingParty,
  brokerField,
  brokerOf,
  deleteAt,
  relyingPartyField,
  withRelyingParty,
} from "../relying-party";
import type { Context } from "../server/context";
import type { Checked, Definition, InputField } from "../server/definition";
import type { Json } from "../server/values";
import { shapeFailures } from "../shapes";
import { absolute, show } from "../source";

interface Inputs extends AtRelyingParty, ReferenceSource {
  acknowledgeStockGuestImage?: string;
  registered?: Registered;
  broker?: string;
}
interface Outputs {
  /** Of what a refresh found. */
  digest: string;
}

const member = (about: string, type: InputField["type"] = "list") =>
  ({ type, optional: true, change: "none", about }) as const satisfies InputField;

const SHAPES = {
  tee: literal(...PRODUCTION_TEES),
  defaultPolicy: literal("deny", "stock"),
  source: text({ max: 500 }),
  published: list(text(), 100),
};

/** One set for each TEE and key broker. What comes and goes in a preview is in `registered`, value by value. */
export const referenceValuesResource: Definition<Inputs, Outputs> = {
  name: "ReferenceValues",
  about: "What the key broker's production policy takes for good guests of one TEE; typed, checked, measured here.",
  inputs: {
    tee: { type: "string", change: "replace", about: `One of ${PRODUCTION_TEES.join(", ")}.` },
    source: { type: "string", about: "Where the values come from: a release, a build, a file's digest." },
    defaultPolicy: { type: "string", about: "What guests do that boot without initdata: `deny` or `stock`." },
    acknowledgeStockGuestImage: { type: "string", optional: true, about: "Why a stock image is accepted." },
    measurements: member("Launch measurements, 48 bytes each (snp, az-snp-vtpm)."),
    minimumTcb: member("Lowest firmware versions {bootloader, tee, snp, microcode} (snp, az-snp-vtpm).", "object"),
    pcr11: member("PCR 11 of pod-VM images, 32 bytes each (az-snp-vtpm, az-tdx-vtpm)."),
    mrTd: member("Firmware, 48 bytes each (tdx, az-tdx-vtpm)."),
    rtmr1: member("Kernels, 48 bytes each (tdx)."),
    rtmr2: member("Command lines and initrds, 48 bytes each (tdx)."),
    xfam: member("CPU features, 8 bytes each (tdx, az-tdx-vtpm)."),
    launch: member("Files and shapes that SEV-SNP measurements are computed from (snp).", "object"),
    published: member("Files measurements.json, as published with pod-VM images (az-snp-vtpm, az-tdx-vtpm)."),
    relyingParty: relyingPartyField,
    registered: { type: "object", optional: true, computed: true, about: "What is registered, by id and value." },
    broker: brokerField,
  },
  outputs: { digest: { type: "string", about: "Digest of the values in the key broker." } },
  deleteFirst: true,

  async check(context, news, olds, pending) {
    const failures = shapeFailures(news, SHAPES);
    if (failures.length > 0 || pending.size > 0) return { failures };
    const inputs = news as Inputs;
    try {
      const warning = checkGuestImage(inputs);
      if (warning !== undefined) context.log.warn(warning);
    } catch (error) {
      if (!(error instanceof PolicyError)) throw error;
      return { failures: [{ property: "defaultPolicy", reason: error.message }] };
    }
    const made = make(context, inputs, olds?.registered);
    return { ...made, computed: { ...made.computed, broker: brokerOf({ context, news, pending }, olds?.broker) } };
  },

  async create(context, inputs) {
    return { id: inputs.tee, outputs: await put(context, inputs, {}) };
  },

  update: (context, old, inputs) =>
    put(context, inputs, old.outputs.digest === "" ? {} : (old.inputs.registered ?? {})),

  /** Values that somebody else changed or emptied are found by their digest. */
  async read(context, { inputs }) {
    const wanted = valuesOf(inputs.registered ?? {});
    const found = await withRelyingParty(context, inputs, async ({ kbs }) =>
      Promise.all(wanted.map(async ({ id }) => ({ id, value: await kbs.referenceValue(id) }))),
    );
    if (found.every(({ value }) => value === undefined)) return undefined;
    return { digest: jcs(found.map(sorted)) === jcs(wanted.map(sorted)) ? digestOf(inputs) : "" };
  },

  drift: ({ outputs }) => (outputs.digest === "" ? ["digest"] : []),

  async delete(context, { inputs }) {
    await deleteAt(context, inputs, `the reference values of ${inputs.tee}`, ({ kbs }) =>
      empty(kbs, Object.keys(inputs.registered ?? {})),
    );
    context.log.info(`empties the reference values of ${inputs.tee}: no guest of that kind gets anything any more`);
  },
};

/** A preview on a machine without the files takes what was deployed. */
function make(context: Context, inputs: Inputs, before: Registered | undefined): Checked {
  const missing = filesOf(inputs).find((file) => !existsSync(absolute(context, file)));
  if (missing !== undefined && before !== undefined) {
    const file = show(context, absolute(context, missing));
    context.log.status(`${file} is not on this machine: the values stay as they were deployed`);
    return { computed: { registered: before as Json } as never };
  }
  try {
    return { computed: { registered: registeredOf(context, inputs) as never } };
  } catch (error) {
    return { failures: [{ property: "source", reason: (error as Error).message }] };
  }
}

/** Values first, then what is registered no more: in between guests of both are let in, never none. */
async function put(context: Context, inputs: Inputs, before: Registered): Promise<Outputs> {
  const values = valuesOf(inputs.registered ?? {});
  await withRelyingParty(context, inputs, async ({ kbs }) => {
    for (const { id, value } of values) await kbs.putReferenceValue(id, value);
    const gone = Object.keys(before).filter((id) => !values.some((now) => now.id === id));
    await empty(kbs, gone);
  });
  return { digest: digestOf(inputs) };
}

/** Trustee cannot delete a reference value; nothing matches an empty list. */
async function empty(kbs: KbsAdmin, ids: readonly string[]): Promise<void> {
  for (const id of ids) await kbs.putReferenceValue(id, NO_VALUES);
}

const digestOf = ({ registered = {} }: Inputs): string => jcsDigest(valuesOf(registered));

const sorted = ({ id, value }: { id: string; value: unknown }) => ({
  id,
  value: Array.isArray(value) ? [...value].sort() : (value ?? null),
});

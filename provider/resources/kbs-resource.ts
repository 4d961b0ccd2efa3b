import { base64, fromBase64, utf8 } from "../../protocol/bytes";
import { needPolicies } from "../policies";
import {
  type AtRelyingParty,
  brokerField,
  brokerOf,
  deleteAt,
  relyingPartyField,
  withRelyingParty,
} from "../relying-party";
import type { Context } from "../server/context";
import type { Definition, Failure } from "../server/definition";

interface Inputs extends AtRelyingParty {
  path: string;
  content: string;
  encoding?: "utf8" | "base64";
  broker?: string;
}
interface Outputs {
  path: string;
}

const PATH = /^[A-Za-z0-9_.-]{1,80}(\/[A-Za-z0-9_.-]{1,80}){2}$/;

/** A secret of the user's own in the key broker. Who may read it is for grants to say: none is made here. */
export const kbsResource: Definition<Inputs, Outputs> = {
  name: "KbsResource",
  about: "A secret in the key broker, under a path of three parts. Nothing may read it until a grant says so.",
  inputs: {
    path: { type: "string", change: "replace", about: "`repository/type/tag`; each [A-Za-z0-9_.-], at most 80." },
    content: { type: "string", secret: true, about: "The secret." },
    encoding: { type: "string", optional: true, about: "How `content` is written: `utf8` (default) or `base64`." },
    relyingParty: relyingPartyField,
    broker: brokerField,
  },
  outputs: { path: { type: "string", stable: true, about: "The path." } },
  deleteFirst: true,

  async check(context, news, olds, pending) {
    const { path, content, encoding } = news;
    const failures: Failure[] = [];
    if (path !== undefined && (!PATH.test(path) || path.split("/").some((part) => /^\.+$/.test(part)))) {
      failures.push({ property: "path", reason: `"${path}" is not of the form repository/type/tag` });
    }
    if (encoding !== undefined && encoding !== "utf8" && encoding !== "base64") {
      failures.push({ property: "encoding", reason: `expected "utf8" or "base64", found "${encoding}"` });
    } else if (encoding === "base64" && content !== undefined && !isBase64(content)) {
      failures.push({ property: "content", reason: 'not canonical base64, as `encoding: "base64"` promises' });
    }
    return { computed: { broker: brokerOf({ context, news, pending }, olds?.broker) }, failures };
  },

  async create(context, inputs) {
    await put(context, inputs);
    return { id: inputs.path, outputs: { path: inputs.path } };
  },

  async update(context, _old, inputs) {
    await put(context, inputs);
    return { path: inputs.path };
  },

  async delete(context, { inputs, outputs }) {
    await deleteAt(context, inputs, `the resource ${outputs.path}`, ({ kbs }) => kbs.deleteResource(outputs.path));
  },
};

const put = (context: Context, inputs: Inputs): Promise<void> =>
  withRelyingParty(context, inputs, async (party) => {
    await needPolicies(context, party);
    await party.kbs.putResource(inputs.path, bytesOf(inputs));
  });

const bytesOf = ({ content, encoding }: Inputs): Uint8Array =>
  encoding === "base64" ? fromBase64(content) : utf8(content);

function isBase64(text: string): boolean {
  try {
    return base64(fromBase64(text)) === text;
  } catch {
    return false;
  }
}

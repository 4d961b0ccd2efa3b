import { algorithmOf, INITDATA_ANNOTATION, parseInitdata, renderInitdata } from "../../../policy";
import { annotationOf } from "../../../policy/initdata/document";
import { initdataOf, KbsGuest, resourceOf } from "../support/kbs-guest";
import type { Attack, World } from "../types";

/** Initdata with one part changed, in the deterministic form. */
function changed(world: World, file: string, change: (text: string) => string): string {
  const { data } = parseInitdata(initdataOf(world, world.target.consumer));
  return renderInitdata({ algorithm: algorithmOf("sample"), data: { ...data, [file]: change(data[file] ?? "") } });
}

/** What a guest boots with is measured: any other initdata has another digest, and that has no grant. */
export const initdata: Attack = {
  number: 9,
  title: "other initdata: another key broker, a permissive policy, none",
  power: "host",
  expected: ["PolicyDeny", "INITDATA", "KEY_DENIED"],
  mount: async (world) => {
    const { consumer } = world.target;
    const path = resourceOf(world, consumer);
    const permissive = changed(
      world,
      "policy.rego",
      () => "package agent_policy\ndefault CreateContainerRequest := true\n",
    );
    const debug = changed(world, "policy.rego", (text) => text.replace('"debug":false', '"debug":true'));
    const elsewhere = changed(world, "cdh.toml", (text) => text.replaceAll("127.0.0.1", "127.0.0.2"));
    const spaced = `${initdataOf(world, consumer)}\n`;
    const texts = {
      "a permissive policy": permissive,
      "a policy with logs and exec": debug,
      "another key broker": elsewhere,
      "a line feed more": spaced,
    };
    const tries = [];
    for (const [tried, text] of Object.entries(texts)) {
      tries.push({ tried: `${tried}: asked for the bundle`, ended: await new KbsGuest(world).fetch(path, text) });
    }
    tries.push({ tried: "no initdata: asked for the bundle", ended: await new KbsGuest(world).fetch(path, null) });
    for (const [tried, text] of Object.entries({
      "a permissive policy": permissive,
      "a policy with logs and exec": debug,
    })) {
      const job = world.job(consumer);
      job.spec.template.metadata.annotations[INITDATA_ANNOTATION] = annotationOf(text);
      tries.push({ tried: `${tried}: a guest booted with it`, ended: (await world.guest(job)).code });
    }
    const bare = world.job(consumer);
    delete bare.spec.template.metadata.annotations[INITDATA_ANNOTATION];
    tries.push({ tried: "no initdata: a guest booted without", ended: (await world.guest(bare)).code });
    return tries;
  },
};

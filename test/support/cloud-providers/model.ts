/** How one type of resource behaves in a stand-in cloud. */
import type { Json } from "../../../provider/server/values";
import type { Existing, Store } from "./store";

export type Plain = Readonly<Record<string, Json>>;

export interface TypeModel {
  /** Input with the physical name; filled in when the program leaves it out, as the real provider does. */
  readonly name?: string;
  /** Physical name of a resource that the program does not name. Default: its Pulumi name and seven hex digits. */
  readonly autoName?: (logical: string, random: string) => string;
  readonly id: (inputs: Plain, random: string) => string;
  /** What the cloud fills in beside the inputs. */
  readonly outputs?: (inputs: Plain, id: string, store: Store) => Plain;
  /** Inputs whose change makes another resource. */
  readonly replaces?: readonly string[];
  /** Ids that must exist; what an input says by name only. Default: none beside ids that inputs hold. */
  readonly needs?: (inputs: Plain, store: Store) => readonly string[];
  /** Why the cloud refuses a create. */
  readonly refuse?: (inputs: Plain, store: Store) => string | undefined;
  /** Key of what takes one write at a time; a second write at the same time is refused. */
  readonly alone?: (inputs: Plain) => string;
  /** Whether deleting it deletes what came into being inside it without Pulumi. */
  readonly sweeps?: boolean;
}

export interface CloudModel {
  readonly pkg: string;
  readonly types: Readonly<Record<string, TypeModel>>;
  readonly invokes: Readonly<Record<string, (args: Plain, store: Store) => Plain>>;
  /** The cloud's words for "still in use". */
  readonly inUse: (gone: Existing, by: Existing) => string;
}

/** Text of an input; empty when it is missing or of another kind. */
export const text = (value: Json | undefined): string => (typeof value === "string" ? value : "");

/** Strings anywhere in a value. */
export function stringsIn(value: Json | undefined): string[] {
  if (typeof value === "string") return [value];
  if (Array.isArray(value)) return value.flatMap(stringsIn);
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(stringsIn) : [];
}

/** By what others name a resource: its id, and ARN, principal and client id where it has them. */
function handles({ id, outputs }: Existing): string[] {
  const named = ["arn", "principalId", "clientId"].flatMap((name) => text(outputs[name]) || []);
  return [id, ...named];
}

/** What else exists and needs a resource: by an input that holds one of its handles, or by an id below its own. */
export function dependentsOf(gone: Existing, store: Store, model: CloudModel): Existing[] {
  const own = handles(gone);
  return store.all().filter((other) => {
    if (other.id === gone.id) return false;
    if (gone.id.startsWith("/") && other.id.startsWith(`${gone.id}/`)) return true;
    const held = [...stringsIn(other.inputs as Json), ...(model.types[other.type]?.needs?.(other.inputs, store) ?? [])];
    return held.some((value) =>
      own.some((handle) => value === handle || (handle.length > 20 && value.includes(handle))),
    );
  });
}

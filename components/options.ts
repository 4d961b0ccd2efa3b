import type { ComponentResource, CustomResourceOptions } from "@pulumi/pulumi";

/** Options of a child: an undefined field would overwrite what the parent passes on, so there are none. */
export function childOf(parent: ComponentResource, more: CustomResourceOptions = {}): CustomResourceOptions {
  return { ...Object.fromEntries(Object.entries(more).filter(([, value]) => value !== undefined)), parent };
}

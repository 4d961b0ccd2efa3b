/** Resource groups, and the gallery of an image: what roles are scoped to. */
import * as resources from "@pulumi/azure-native/resources";
import * as pulumi from "@pulumi/pulumi";
import { childOf } from "../options";
import type { AksPeerPodsArgs } from "./args";
import type { AzureNetwork } from "./network";

const GALLERY = /^(\/subscriptions\/.+\/galleries\/[^/]+)\/images\//i;

/** Of network, cluster and identity. */
export function createGroup(
  name: string,
  { location, resourceGroupName }: AksPeerPodsArgs,
  tags: Record<string, string>,
  parent: pulumi.ComponentResource,
): pulumi.Output<string> {
  if (resourceGroupName !== undefined) return pulumi.output(resourceGroupName);
  return new resources.ResourceGroup(`${name}-group`, { location, tags }, childOf(parent)).name;
}

/**
 * The guests' own: the adaptor's roles reach no further. Made after the guests' subnet, so `destroy` deletes it before,
 * and with it every VM that was left behind, which would hold the subnet.
 */
export function createGuestsGroup(
  name: string,
  { location }: AksPeerPodsArgs,
  tags: Record<string, string>,
  network: AzureNetwork,
  parent: pulumi.ComponentResource,
): resources.ResourceGroup {
  return new resources.ResourceGroup(
    `${name}-guests`,
    { location, tags },
    childOf(parent, { dependsOn: network.resources }),
  );
}

/**
 * @returns ARM id of the image's gallery when the adaptor needs a role to read it; community galleries need none. An id
 * that comes from another resource is of a gallery of one's own.
 */
export function galleryOf({ image, readGallery }: AksPeerPodsArgs): pulumi.Input<string> | undefined {
  if (readGallery === false) return undefined;
  if (typeof image.id === "string") return GALLERY.exec(image.id)?.[1];
  return pulumi.output(image.id).apply((id) => {
    const [, gallery] = GALLERY.exec(id) ?? [];
    if (gallery !== undefined) return gallery;
    throw new pulumi.RunError(`image.id: "${id}" is of no gallery in a subscription. Say readGallery: false`);
  });
}

/**
 * What this run of the engine still uses in the relying party. Objects there are named by content, so two resources can
 * stand for one object: a step that was renamed, or a replacement that derives the same bytes. The engine handles every
 * resource of the program, in one plugin process, before it deletes what the program dropped; so an object that is used
 * again is known when its old resource goes. `destroy` runs no program: everything goes.
 */
const live = new Set<string>();

export const keepLive = (...paths: string[]): void => {
  for (const path of paths) live.add(path);
};
export const isLive = (path: string): boolean => live.has(path);

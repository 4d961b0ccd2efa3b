/** Requests that upstream allows for its own pod and that are refused here on purpose: case → reason. */
export const STRICTER: Record<string, string> = {
  "copyfile: a dirname can have trailing dots": "only the four files of every pod are copied, no folders below",
  "copyfile: directory in top-level shared directory": "no ConfigMaps or Secrets: parameters come sealed with the run",
  "copyfile: symlink beneath top-level shared directory": "no links at all",
  "createsandbox: no pidns": "the case has no sandbox id, which we bind containers to",
  "createcontainer/env_vars: Environment variable valueFrom.fieldRef.fieldPath + metadata.labels, allowed":
    "another image, user and environment",
  "createcontainer/generate_name: generated name with valid prefix (dummysfx)":
    "a pause container without image storage may run, but its id is not the sandbox's",
  "createcontainer/volumes/emptydir: volumeMount: valid mount structure": "another image, user; disks are no scratch",
  "createcontainer/volumes/emptydir: volumeMount: valid mount destination(s)":
    "another image, user; disks are no scratch",
  "state/execprocess: create container request for first container": "another image and arguments",
  "state/execprocess: create container request for second container":
    "another image and arguments; one step container only",
  "state/execprocess: test exec process in first container with correct args": "no exec",
  "state/execprocess: remove first container": "this container was never admitted",
};

/** The files of a project with one step that counts rows; `stacks/args.json` is for what a change would change. */
import { createProject, type Project } from "./project";

export function countProject(program: string): Project {
  const project = createProject(program);
  project.write("count/count.js", "// counts\n");
  project.write("rows.jsonl", "{}\n");
  project.write("stacks/args.json", "{}");
  return project;
}

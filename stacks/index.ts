/** Loads the program of one environment: config `environment`, default the stack's name. The others stay unread. */
import { existsSync, readdirSync } from "node:fs";
import * as path from "node:path";
import * as pulumi from "@pulumi/pulumi";

const name = new pulumi.Config().get("environment") ?? pulumi.getStack();
if (!/^[a-z0-9-]+$/.test(name) || name === "index" || !existsSync(path.join(__dirname, `${name}.ts`))) {
  const known = readdirSync(__dirname).flatMap((file) => /^(?!index\.)([a-z0-9-]+)\.ts$/.exec(file)?.[1] ?? []);
  const set = `npx sealflow pulumi -- config set environment ${known.at(-1)} --stack ${pulumi.getStack()}`;
  const remedy = `Choose one of ${known.join(", ")}: ${set}`;
  throw new pulumi.RunError(`stack "${pulumi.getStack()}": there is no environment "${name}". ${remedy}`);
}

export = require(`./${name}`);

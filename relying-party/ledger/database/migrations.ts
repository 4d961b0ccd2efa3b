/** Schema, in steps that are only ever appended. Types that SQLite and PostgreSQL share; `bytes` differs by engine. */
import { type Kysely, sql } from "kysely";
import type { Migration, MigrationProvider } from "kysely/migration";

export type Engine = "sqlite" | "postgres";

// biome-ignore lint/suspicious/noExplicitAny: a migration sees the schema as it was, which has no type any more
type Any = Kysely<any>;

function first(engine: Engine): Migration {
  const bytes = engine === "sqlite" ? "blob" : "bytea";
  return {
    async up(db: Any) {
      const s = db.schema;
      const text = "text" as const;
      const int = "bigint" as const;
      await s
        .createTable("settings")
        .addColumn("name", text, (c) => c.primaryKey())
        .addColumn("value", text, (c) => c.notNull())
        .execute();
      await s
        .createTable("pipelines")
        .addColumn("uid", text, (c) => c.primaryKey())
        .addColumn("owner", text, (c) => c.notNull())
        .addColumn("closed_at", int)
        .execute();
      await s
        .createTable("versions")
        .addColumn("digest", text, (c) => c.primaryKey())
        .addColumn("pipeline_uid", text, (c) => c.notNull().references("pipelines.uid"))
        .addColumn("sequence", int, (c) => c.notNull())
        .addColumn("token", text, (c) => c.notNull())
        .addColumn("registered_at", int, (c) => c.notNull())
        .addColumn("closes_at", int)
        .addColumn("revoked_at", int)
        .addColumn("settled", "integer", (c) => c.notNull().defaultTo(0))
        .addUniqueConstraint("versions_sequence", ["pipeline_uid", "sequence"])
        .execute();
      await s.createIndex("versions_due").on("versions").columns(["settled", "closes_at"]).execute();
      await s
        .createTable("programs")
        .addColumn("version", text, (c) => c.notNull().references("versions.digest"))
        .addColumn("step", text, (c) => c.notNull())
        .addColumn("pipeline_uid", text, (c) => c.notNull())
        .addColumn("program_id", text, (c) => c.notNull())
        .addColumn("bundle", text, (c) => c.notNull())
        .addColumn("public_key", text, (c) => c.notNull())
        .addPrimaryKeyConstraint("programs_key", ["version", "step"])
        .execute();
      await s.createIndex("programs_id").on("programs").columns(["program_id", "pipeline_uid"]).execute();
      await s
        .createTable("version_objects")
        .addColumn("object", text, (c) => c.notNull())
        .addColumn("version", text, (c) => c.notNull().references("versions.digest"))
        .addPrimaryKeyConstraint("version_objects_key", ["object", "version"])
        .execute();
      await s
        .createTable("revocations")
        .addColumn("digest", text, (c) => c.primaryKey())
        .addColumn("pipeline_uid", text, (c) => c.notNull())
        .addColumn("token", text, (c) => c.notNull())
        .execute();
      await s
        .createTable("runs")
        .addColumn("run", text, (c) => c.primaryKey())
        .addColumn("pipeline_uid", text, (c) => c.notNull())
        .addColumn("version", text, (c) => c.notNull().references("versions.digest"))
        .addColumn("request", text, (c) => c.notNull())
        .addColumn("state", text, (c) => c.notNull())
        .addColumn("opened_at", int, (c) => c.notNull())
        .addColumn("expires_at", int, (c) => c.notNull())
        .addColumn("ended_at", int)
        .addColumn("secret", bytes)
        .addColumn("remaining", int, (c) => c.notNull())
        .addColumn("swept", "integer", (c) => c.notNull().defaultTo(0))
        .execute();
      await s.createIndex("runs_of_version").on("runs").columns(["version", "state", "opened_at"]).execute();
      await s.createIndex("runs_of_pipeline").on("runs").columns(["pipeline_uid", "opened_at"]).execute();
      await s.createIndex("runs_due").on("runs").columns(["swept", "expires_at"]).execute();
      await s
        .createTable("run_steps")
        .addColumn("run", text, (c) => c.notNull().references("runs.run"))
        .addColumn("step", text, (c) => c.notNull())
        .addColumn("shards", "integer", (c) => c.notNull())
        .addColumn("committed", "integer", (c) => c.notNull().defaultTo(0))
        .addColumn("assigned", "integer", (c) => c.notNull().defaultTo(0))
        .addPrimaryKeyConstraint("run_steps_key", ["run", "step"])
        .execute();
      await s
        .createTable("shards")
        .addColumn("run", text, (c) => c.notNull().references("runs.run"))
        .addColumn("step", text, (c) => c.notNull())
        .addColumn("shard", "integer", (c) => c.notNull())
        .addColumn("state", text, (c) => c.notNull())
        .addColumn("attempts", "integer", (c) => c.notNull())
        .addColumn("running", "integer", (c) => c.notNull())
        .addColumn("committed_attempt", "integer")
        .addColumn("claimed_at", int, (c) => c.notNull())
        .addPrimaryKeyConstraint("shards_key", ["run", "step", "shard"])
        .execute();
      await s
        .createTable("attempts")
        .addColumn("run", text, (c) => c.notNull().references("runs.run"))
        .addColumn("step", text, (c) => c.notNull())
        .addColumn("shard", "integer", (c) => c.notNull())
        .addColumn("attempt", "integer", (c) => c.notNull())
        .addColumn("claim", text, (c) => c.notNull().unique())
        .addColumn("program_id", text, (c) => c.notNull())
        .addColumn("ended", "integer", (c) => c.notNull().defaultTo(0))
        .addColumn("at", int, (c) => c.notNull())
        .addPrimaryKeyConstraint("attempts_key", ["run", "step", "shard", "attempt"])
        .execute();
      await s
        .createTable("commits")
        .addColumn("run", text, (c) => c.notNull().references("runs.run"))
        .addColumn("step", text, (c) => c.notNull())
        .addColumn("shard", "integer", (c) => c.notNull())
        .addColumn("attempt", "integer", (c) => c.notNull())
        .addColumn("digest", text, (c) => c.notNull().unique())
        .addColumn("outcome", text, (c) => c.notNull())
        .addColumn("exit_class", text, (c) => c.notNull())
        .addColumn("token", text, (c) => c.notNull())
        .addColumn("leaf", int, (c) => c.notNull())
        .addPrimaryKeyConstraint("commits_key", ["run", "step", "shard", "attempt"])
        .execute();
      await s
        .createTable("log")
        .addColumn("id", "integer", (c) => c.primaryKey().check(sql`id = 1`))
        .addColumn("size", int, (c) => c.notNull())
        .execute();
      await db.insertInto("log").values({ id: 1, size: 0 }).execute();
      await s
        .createTable("log_entries")
        .addColumn("seq", int, (c) => c.primaryKey())
        .addColumn("pipeline_uid", text, (c) => c.notNull())
        .addColumn("run", text)
        .addColumn("entry", text, (c) => c.notNull())
        .execute();
      await s.createIndex("log_of_pipeline").on("log_entries").columns(["pipeline_uid", "seq"]).execute();
      await s
        .createTable("log_nodes")
        .addColumn("level", "integer", (c) => c.notNull())
        .addColumn("position", int, (c) => c.notNull())
        .addColumn("hash", bytes, (c) => c.notNull())
        .addPrimaryKeyConstraint("log_nodes_key", ["level", "position"])
        .execute();
      await s
        .createTable("cancels")
        .addColumn("digest", text, (c) => c.primaryKey())
        .addColumn("run", text, (c) => c.notNull())
        .addColumn("token", text, (c) => c.notNull())
        .execute();
      await s
        .createTable("objects")
        .addColumn("name", text, (c) => c.primaryKey())
        .addColumn("digest", text, (c) => c.notNull())
        .addColumn("size", int, (c) => c.notNull())
        .execute();
      await s
        .createTable("object_owners")
        .addColumn("object", text, (c) => c.notNull())
        .addColumn("owner", text, (c) => c.notNull())
        .addPrimaryKeyConstraint("object_owners_key", ["object", "owner"])
        .execute();
    },
  };
}

const conditions: Migration = {
  async up(db: Any) {
    await db.schema
      .alterTable("run_steps")
      .addColumn("skipped", "integer", (c) => c.notNull().defaultTo(0))
      .execute();
  },
};

const multiparts: Migration = {
  async up(db: Any) {
    await db.schema
      .createTable("multiparts")
      .addColumn("name", "text", (c) => c.primaryKey())
      .addColumn("id", "text", (c) => c.notNull())
      .execute();
  },
};

export const migrations = (engine: Engine): MigrationProvider => ({
  getMigrations: async () => ({
    "001-first": first(engine),
    "002-conditions": conditions,
    "003-multiparts": multiparts,
  }),
});

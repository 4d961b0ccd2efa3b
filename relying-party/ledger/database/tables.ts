/** The ledger's tables. Times are seconds since 1970; digests lower-case hex; a JWS is its compact text. */

export interface Tables {
  settings: { name: string; value: string };
  pipelines: { uid: string; owner: string; closed_at: number | null };
  versions: {
    digest: string;
    pipeline_uid: string;
    sequence: number;
    token: string;
    registered_at: number;
    /** When its successor ends it; null while it is the newest. */
    closes_at: number | null;
    revoked_at: number | null;
    /** 1 when its open runs have been ended, so that a sweep need not look again. */
    settled: number;
  };
  /** One row per step of a version: finds a claim's versions without parsing descriptors. */
  programs: {
    version: string;
    step: string;
    pipeline_uid: string;
    program_id: string;
    bundle: string;
    public_key: string;
  };
  /** Dataset objects that a version reads. */
  version_objects: { version: string; object: string };
  revocations: { digest: string; pipeline_uid: string; token: string };
  runs: {
    run: string;
    pipeline_uid: string;
    version: string;
    /** The text that opened it: a run request, or a schedule and a slot. */
    request: string;
    state: RunState;
    opened_at: number;
    expires_at: number;
    ended_at: number | null;
    /** 32 bytes; null once deleted. */
    secret: Uint8Array | null;
    /** Shards of all steps that have no commit yet; 0 is success. */
    remaining: number;
    /** 1 when the run's unreadable objects have been deleted. */
    swept: number;
  };
  run_steps: {
    run: string;
    step: string;
    shards: number;
    committed: number;
    /** Shards handed out so far: they are assigned in order. */
    assigned: number;
    /** 1: its condition does not hold, or it waits for a step whose does not. */
    skipped: number;
  };
  shards: {
    run: string;
    step: string;
    shard: number;
    state: ShardState;
    attempts: number;
    /** Attempts that have not reported an end. */
    running: number;
    /** The one counted attempt; set once, by compare-and-set. */
    committed_attempt: number | null;
    claimed_at: number;
  };
  attempts: {
    run: string;
    step: string;
    shard: number;
    attempt: number;
    claim: string;
    program_id: string;
    ended: number;
    at: number;
  };
  /** Ends of attempts: the counted commits and the reported failures. */
  commits: {
    digest: string;
    run: string;
    step: string;
    shard: number;
    attempt: number;
    outcome: "ok" | "failed";
    exit_class: string;
    token: string;
    leaf: number;
  };
  log: { id: number; size: number };
  log_entries: { seq: number; pipeline_uid: string; run: string | null; entry: string };
  log_nodes: { level: number; position: number; hash: Uint8Array };
  cancels: { digest: string; run: string; token: string };
  /** Digest and size of each stored object, computed while it was streamed in. */
  objects: { name: string; digest: string; size: number };
  /** Uploads in parts that are not put together yet, with the name that the store gave them. */
  multiparts: { name: string; id: string };
  /** Owners that asked to upload a dataset object, and may delete it. */
  object_owners: { object: string; owner: string };
}

export type RunState = "open" | "succeeded" | "failed" | "cancelled" | "expired" | "closed";
export type ShardState = "running" | "failed" | "committed";

/**
 * Connections that outlive a client, for a process that makes many clients of one server: a TLS handshake costs more
 * than most calls. A connection is for one origin, one way to it and one CA, so no client gets one that it would not
 * have made itself.
 */
import { Agent } from "node:https";

/** Connections that nobody has used for so long are closed, milliseconds. */
const IDLE_MS = 3000;

interface Shared {
  readonly agent: Agent;
  users: number;
  idle: NodeJS.Timeout | undefined;
}

const shared = new Map<string, Shared>();

export const newAgent = (caPem: string): Agent =>
  new Agent({ ca: caPem, keepAlive: true, minVersion: "TLSv1.2", maxSockets: 32 });

/** @returns the agent, and what gives it back. */
export function borrowAgent(origin: string, route: string | undefined, caPem: string): { agent: Agent; back(): void } {
  const name = JSON.stringify([origin, route, caPem]);
  const entry = shared.get(name) ?? { agent: newAgent(caPem), users: 0, idle: undefined };
  shared.set(name, entry);
  clearTimeout(entry.idle);
  entry.users++;
  let given = true;
  return {
    agent: entry.agent,
    back() {
      if (!given) return;
      given = false;
      entry.users--;
      if (entry.users > 0) return;
      entry.idle = setTimeout(() => {
        shared.delete(name);
        entry.agent.destroy();
      }, IDLE_MS).unref();
    },
  };
}

/** Messages to the engine's display. A message that cannot be delivered is dropped: logging never fails an operation. */
import { credentials } from "@grpc/grpc-js";
import { EngineClient } from "@pulumi/pulumi/proto/engine_grpc_pb";
import { LogRequest, LogSeverity } from "@pulumi/pulumi/proto/engine_pb";
import type { Log } from "./context";
import { terminalSafe } from "./text";

export interface EngineLog {
  /** The log of one operation. `end` takes its status off the display. */
  readonly of: (urn: string) => Log & { end(): void };
  readonly connect: (address: string) => void;
  /** Waits until the engine has what was said so far: after the last operation it shows nothing more. */
  readonly flush: () => Promise<void>;
  readonly close: () => void;
}

/** At most one status line per resource in this many milliseconds; the last one always goes out. */
const STATUS_INTERVAL_MS = 250;

export function createEngineLog(): EngineLog {
  let client: EngineClient | undefined;
  const pending = new Set<Promise<void>>();
  const send = (urn: string, severity: LogSeverity, message: string, ephemeral: boolean) => {
    if (!client) return;
    const request = new LogRequest();
    request.setUrn(urn);
    request.setSeverity(severity);
    request.setMessage(terminalSafe(message));
    request.setEphemeral(ephemeral);
    const engine = client;
    const sent = new Promise<void>((resolve) => engine.log(request, () => resolve()));
    pending.add(sent);
    sent.then(() => pending.delete(sent));
  };
  const close = () => {
    client?.close();
    client = undefined;
  };
  return {
    connect(address) {
      close();
      client = new EngineClient(address, credentials.createInsecure());
    },
    of(urn) {
      let last = 0;
      let waiting: NodeJS.Timeout | undefined;
      return {
        status(message) {
          clearTimeout(waiting);
          const emit = () => {
            last = Date.now();
            send(urn, LogSeverity.INFO, message, true);
          };
          const wait = last + STATUS_INTERVAL_MS - Date.now();
          if (wait <= 0) emit();
          else waiting = setTimeout(emit, wait).unref();
        },
        end() {
          clearTimeout(waiting);
          if (last > 0) send(urn, LogSeverity.INFO, "", true);
        },
        info: (message) => send(urn, LogSeverity.INFO, message, false),
        warn: (message) => send(urn, LogSeverity.WARNING, message, false),
      };
    },
    flush: async () => {
      await Promise.all(pending);
    },
    close,
  };
}

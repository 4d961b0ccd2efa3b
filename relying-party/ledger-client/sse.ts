/** Server-sent events (WHATWG HTML, section 9.2.6): only what the ledger sends, `data` and `id`. */
import type { Readable } from "node:stream";

export interface SseMessage {
  /** Last id that was sent, with this message or before it. */
  readonly id: string | undefined;
  /** undefined: the message only says where the stream is. */
  readonly data: string | undefined;
}

/** Longest line, and longest data of one event, characters: an event is a few hundred. */
const MAX_LENGTH = 64 * 1024;

export async function* readEvents(stream: Readable): AsyncGenerator<SseMessage> {
  const decoder = new TextDecoder();
  let rest = "";
  let id: string | undefined;
  let data: string[] = [];
  let held = 0;
  let told: string | undefined;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    rest += decoder.decode(chunk, { stream: true });
    if (rest.length > MAX_LENGTH) throw new RangeError("event stream: a line is too long");
    const lines = rest.split(/\r?\n/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        if (data.length > 0) yield { id, data: data.join("\n") };
        else if (id !== told) yield { id, data: undefined };
        told = id;
        data = [];
        held = 0;
      } else if (line.startsWith("data:")) {
        held += line.length;
        if (held > MAX_LENGTH) throw new RangeError("event stream: an event is too long");
        data.push(line.slice(5).trimStart());
      } else if (line.startsWith("id:")) id = line.slice(3).trim();
    }
  }
}

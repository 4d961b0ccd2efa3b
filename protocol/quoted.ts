/**
 * Names and words that somebody else chose, for messages: on one line, and without characters that steer a terminal or turn
 * the reading direction, wherever the message is shown.
 */

/** JSON escapes what is below the space; this is what it leaves: DEL, C1, bidirectional controls and marks, line ends. */
const LEFT = /[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** In double quotes, escaped as in JSON. @param most characters that are shown. */
export const quoted = (text: string, most = 200): string =>
  JSON.stringify(text.slice(0, most)).replace(LEFT, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** A path, as it is when nothing of it needs a quote. */
export function pathText(text: string, most = 200): string {
  const safe = quoted(text, most);
  const plain = text !== "" && text === text.trim() && safe === `"${text.slice(0, most)}"`;
  return `${plain ? text.slice(0, most) : safe}${text.length > most ? "…" : ""}`;
}

/**
 * Text that came from elsewhere (programs, run folders, servers) must not move the cursor, clear the screen or speak to
 * the terminal: control characters but line feed and tab become U+FFFD.
 */
export const terminalSafe = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out.
  text.replace(/\r\n/g, "\n").replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");

/** JSON with the same value as ever, and the same characters escaped: JSON itself escapes those below the space only. */
export const terminalJson = (value: unknown): string =>
  JSON.stringify(value, null, 2).replace(
    /[\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

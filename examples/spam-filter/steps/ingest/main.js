/** Raw mails -> what a reader sees of them: subject and body as plain text, with the label. */

const PostalMime = require("postal-mime");
const { readLines, writeLines } = require("../../lib/io");

/** Enough of an HTML body to count its words. */
const textOfHtml = (html) =>
  html
    .replace(/<(script|style)\b[\s\S]*?<\/\1>/gi, " ")
    .replace(/<[^>]*>/g, " ")
    .replace(/&nbsp;/gi, " ");

async function main() {
  const messages = [];
  for (const { id, label, raw } of readLines("mails")) {
    const mail = await PostalMime.parse(raw);
    const body = mail.text ?? textOfHtml(mail.html ?? "");
    messages.push({ id, label, text: `${mail.subject ?? ""}\n${body}` });
  }
  writeLines("messages", messages);
  console.log(`${messages.length} mails read`);
}

main();

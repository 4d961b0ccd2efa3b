/**
 * Image references with a registry: `<host>[:<port>]/<repository>@sha256:<64 hex>` (source: OCI distribution
 * specification 1.1, "Pulling manifests", for the grammar of repositories and tags). Short names that container tools
 * complete in their own ways are refused: what a name means must not depend on a machine's settings.
 */
import { SealflowError } from "./errors";
import { quoted } from "./quoted";

/** Append only. IMAGE_REFERENCE: not a full reference; the message says what is missing and how to write it. */
export type ImageReferenceCode = "IMAGE_REFERENCE";
export class ImageReferenceError extends SealflowError<ImageReferenceCode> {}

/** A repository of a registry. */
export interface Repository {
  /** `host` or `host:port`, lower-case. */
  readonly host: string;
  /** `team/spam`. */
  readonly repository: string;
}

/** What a tag or a digest names in a repository. */
export interface ImageName extends Repository {
  readonly tag?: string;
  /** 64 hex. */
  readonly digest?: string;
}

export interface PinnedImage extends Repository {
  /** 64 hex. */
  readonly digest: string;
}

const COMPONENT = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const REPOSITORY = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const HOST = /^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const MAX_REPOSITORY = 255;
/** Also how Docker tells a host from the first part of a short name. */
const looksLikeHost = (text: string): boolean => /[.:]/.test(text) || text === "localhost";

/** `host:5000/team/spam`, without tag and digest. @throws ImageReferenceError IMAGE_REFERENCE. */
export function parseRepository(text: string): Repository {
  const { host, repository, tag, digest } = parseImageName(text);
  if (tag !== undefined || digest !== undefined) {
    throw refused(text, `names an image. Write the repository alone: "${host}/${repository}"`);
  }
  return { host, repository };
}

/** A reference whose content can never change. @throws ImageReferenceError IMAGE_REFERENCE. */
export function parsePinnedImage(text: string): PinnedImage {
  const { host, repository, tag, digest } = parseImageName(text);
  if (digest === undefined) {
    const what = tag === undefined ? "has no digest" : `has the tag "${tag}", which can move`;
    throw refused(text, `${what}. Write "${host}/${repository}@sha256:<64 hex>"`);
  }
  return { host, repository, digest };
}

/** With a tag, a digest, both or neither. @throws ImageReferenceError IMAGE_REFERENCE. */
export function parseImageName(text: string): ImageName {
  const [named = "", digest, more] = text.split("@");
  const slash = named.indexOf("/");
  const first = slash < 0 ? "" : named.slice(0, slash);
  if (!looksLikeHost(first)) throw refused(text, `names no registry. Write its full name: "${completed(text)}"`);
  if (!HOST.test(first)) throw refused(text, `"${first.slice(0, 80)}" is not a host in lower case, or host:port`);
  const [repository = "", tag, rest] = named.slice(slash + 1).split(":");
  const problems = [
    ...(REPOSITORY.test(repository) && repository.length <= MAX_REPOSITORY
      ? []
      : [`"${repository.slice(0, 80)}" is not a repository: lower-case parts of [a-z0-9._-], separated by "/"`]),
    ...(rest !== undefined || (tag !== undefined && !TAG.test(tag)) ? ["the tag is not one"] : []),
    ...(more !== undefined || (digest !== undefined && !DIGEST.test(digest))
      ? ["the digest is not sha256:<64 hex>"]
      : []),
  ];
  if (problems.length > 0) throw refused(text, problems.join("; "));
  return {
    host: first,
    repository,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest: digest.slice("sha256:".length) }),
  };
}

/** What Docker would make of a short name. */
function completed(text: string): string {
  const [named = ""] = text.split("@");
  return `docker.io/${named.includes("/") ? "" : "library/"}${text}`;
}

function refused(text: string, why: string): ImageReferenceError {
  return new ImageReferenceError("IMAGE_REFERENCE", `image ${quoted(text)}: ${why}`);
}

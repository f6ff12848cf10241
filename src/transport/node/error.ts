import { STATUS_CODES } from "node:http"
import * as Predicate from "#effect/Predicate"
import { TransportError } from "../error.js"
import * as retryAfter from "../retryAfter.js"

type Reason = TransportError["reason"]

/** How far an attempt had come when it failed. */
export type Stage =
  /** Nothing has been sent: what the caller asked for is not possible. */
  | "Setup"
  /** The server has not answered yet. */
  | "Opening"
  /** The server has answered. */
  | "Upgrade"

/** A server, or a proxy before it, that has answered with something else than what it was asked for. */
export class Refusal {
  constructor(
    readonly status: number,
    /** The header field `Retry-After`. */
    readonly retryAfter?: string | undefined,
    /** What there is to say of it beyond the status. */
    readonly detail = STATUS_CODES[status] ?? "not a standard status"
  ) {}
}

/** Where an attempt leads. */
export interface Whereabouts {
  readonly isSecure: boolean
  /** Who is spoken to, if not the server itself. */
  readonly proxy?: string | undefined
}

const redacted = "<redacted>"

const attemptOr = <A>(f: () => A, otherwise: A): A => {
  try {
    return f()
  } catch {
    return otherwise
  }
}

/** The forms in which a part of a URL may turn up in a message. */
const formsOf = (part: string): ReadonlyArray<string> => {
  const spaced = part.replaceAll("+", " ")
  return [part, attemptOr(() => decodeURIComponent(part), part), attemptOr(() => decodeURIComponent(spaced), part)]
}

/** For a part of a secret: `1` or `en` is none by itself, and would riddle every message. */
const isNotable = (part: string): boolean => part.length > 3

/** Works on a text that is no URL too: it is in the message of the complaint about it. */
const secretsOfUrl = (url: string): ReadonlyArray<string> => {
  const userInfo = /^[^/?#]*\/\/([^/?#]*)@/.exec(url)?.[1] ?? ""
  const query = /\?([^#]*)/.exec(url)?.[1] ?? ""
  const colon = userInfo.indexOf(":")
  const credentials = colon < 0 ? [userInfo] : [userInfo.slice(0, colon), userInfo.slice(colon + 1)]
  const values = query.split("&").map((pair) => pair.slice(pair.indexOf("=") + 1))
  return [
    ...[userInfo, ...credentials, query].flatMap(formsOf),
    ...values.filter(isNotable).flatMap(formsOf),
    ...formsOf(userInfo).map((form) => Buffer.from(form).toString("base64"))
  ]
}

/** The credentials of `Bearer x`. */
const withoutScheme = (value: string): ReadonlyArray<string> => [value.slice(value.indexOf(" ") + 1)].filter(isNotable)

/** As they were given, and as a parser rewrites them. */
const urlForms = (url: string): ReadonlyArray<string> => [url, attemptOr(() => new URL(url).href, url)]

/** What must not be seen of a request: header values, and the user info and query strings of its URLs. */
export const secretsOf = (
  urls: ReadonlyArray<string>,
  headers: Readonly<Record<string, string>>
): ReadonlyArray<string> => [
  ...Object.values(headers).flatMap((value) => [value, ...withoutScheme(value)]),
  ...urls.flatMap(urlForms).flatMap(secretsOfUrl)
]

const escapeRegExp = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")

const textOf = (error: object, key: string): ReadonlyArray<string> => {
  const value: unknown = Predicate.hasProperty(error, key) ? error[key] : undefined
  return typeof value === "string" || typeof value === "number" ? [`${value}`] : []
}

/**
 * Replaces every secret in one pass, the longest first. What the system says of itself (`127.0.0.1`, a port)
 * stays readable though a secret as short as `1` is part of it.
 */
const redact = (text: string, secrets: ReadonlyArray<string>, system: ReadonlyArray<string>): string => {
  const hidden = new Set(secrets.filter((secret) => secret !== ""))
  const tokens = [...hidden, ...system].sort((a, b) => b.length - a.length)
  return tokens.length === 0
    ? text
    : text.replace(new RegExp(tokens.map(escapeRegExp).join("|"), "g"), (token) =>
        hidden.has(token) ? redacted : token
      )
}

const codeOf = (error: unknown): string | undefined =>
  Predicate.hasProperty(error, "code") && typeof error.code === "string" ? error.code : undefined

const messageOf = (error: unknown, secrets: ReadonlyArray<string>): string => {
  // Node tries several addresses at once, and says nothing in the error that stands for all of them.
  if (error instanceof AggregateError && error.errors.length > 0) {
    return error.errors.map((each) => messageOf(each, secrets)).join("; ")
  }
  const text = attemptOr(() => (error instanceof Error ? error.message : String(error)), "")
  const system = Predicate.isObjectKeyword(error)
    ? ["code", "syscall", "hostname", "address", "port"].flatMap((key) => textOf(error, key))
    : []
  // The rest of this one is the URL.
  const short = error instanceof SyntaxError && text.startsWith("Invalid URL") ? "Invalid URL" : text
  return oneLine(redact(short === "" ? (codeOf(error) ?? "Unknown error") : short, secrets, system))
}

/** OpenSSL ends its messages with a line break, and some consist of several lines. */
const oneLine = (text: string): string => text.trim().replace(/\s*[\r\n\u2028\u2029]+\s*/g, " ")

/** How OpenSSL complains of a server that does not speak TLS. */
const noTls = /wrong version number|packet length too long|unknown protocol|http request/i

/** The first bytes of the alert with which some servers turn down what is no TLS. */
const isTlsAlert = (bytes: unknown): boolean => bytes instanceof Uint8Array && bytes[0] === 0x15 && bytes[1] === 0x03

/** What is behind the commonest mistake, a scheme that does not fit the port: the error itself says nothing of it. */
const hint = (error: unknown, stage: Stage, { isSecure, proxy }: Whereabouts): string => {
  if (stage !== "Opening") return ""
  const [who, plain, secure] =
    proxy === undefined ? ["the server", "ws:", "wss:"] : ["the proxy", "an http: URL", "an https: URL"]
  if (isSecure) {
    return error instanceof Error && noTls.test(error.message)
      ? `${who} does not speak TLS on this port: use ${plain}`
      : ""
  }
  if (Predicate.hasProperty(error, "rawPacket") && isTlsAlert(error.rawPacket)) {
    return `${who} speaks TLS on this port: use ${secure}`
  }
  // A line that was refused when it was made has carried nothing yet.
  const isCut =
    codeOf(error) === "ECONNRESET" && !(Predicate.hasProperty(error, "syscall") && error.syscall === "connect")
  return isCut ? `if ${who} speaks TLS on this port, use ${secure}` : ""
}

/** A copy with nothing in it but a name, a code and a message without secrets. */
const causeOf = (error: unknown, secrets: ReadonlyArray<string>, before = "", after = ""): Error => {
  const cause = new Error(`${before}${messageOf(error, secrets)}${after === "" ? "" : `; ${after}`}`)
  const code = codeOf(error)
  cause.name = error instanceof Error ? redact(error.name, secrets, ["Error"]) : "Error"
  cause.stack = `${cause.name}: ${cause.message}`
  return code === undefined ? cause : Object.assign(cause, { code })
}

const setupCode =
  /^ERR_(INVALID_CHAR|INVALID_URL|HTTP_INVALID_HEADER_VALUE|INVALID_HTTP_TOKEN|UNESCAPED_CHARACTERS|INVALID_PROTOCOL|INVALID_ARG_)/

/** What OpenSSL calls the ways in which a certificate can be wrong, and what Node's own `tls` says. */
const tlsCode =
  /^(CERT_|CRL_|ERROR_IN_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|INVALID_CA$|INVALID_PURPOSE$|PATH_LENGTH_EXCEEDED$|HOSTNAME_MISMATCH$|EPROTO$|ERR_TLS_|ERR_SSL_|ERR_OSSL_|ERR_CRYPTO_)/

const reasonOf = (error: unknown, stage: Stage): Reason => {
  const code = codeOf(error)
  if (stage === "Setup" && (error instanceof SyntaxError || (code !== undefined && setupCode.test(code)))) {
    return "Setup"
  }
  if (code !== undefined && tlsCode.test(code)) return "Tls"
  if (stage === "Upgrade") return "Handshake"
  // The parser's complaint about a line that ended too early is about the line.
  return code?.startsWith("HPE_") && code !== "HPE_INVALID_EOF_STATE" ? "Handshake" : "Network"
}

export const fromError = (
  error: unknown,
  stage: Stage,
  secrets: ReadonlyArray<string>,
  where: Whereabouts = { isSecure: false }
): TransportError => {
  const before = where.proxy === undefined ? "" : `proxy ${where.proxy}: `
  return new TransportError({
    reason: reasonOf(error, stage),
    cause: causeOf(error, secrets, before, hint(error, stage, where))
  })
}

/** The status is a field of its own: the message does not repeat it. */
export const refused = ({ detail, retryAfter: field, status }: Refusal, now: number, proxy?: string): TransportError =>
  new TransportError({
    reason: "Handshake",
    status,
    retryAfter: retryAfter.mayWait(status) ? retryAfter.parse(field, now) : undefined,
    cause: causeOf(new Error(proxy === undefined ? detail : `proxy ${proxy}: ${detail}`), [])
  })

/** Not everything that Node has to say of certificates and keys has a code by which it is known for that. */
const tlsError = (error: unknown, code: string): Error =>
  error instanceof Error && tlsCode.test(codeOf(error) ?? "")
    ? error
    : Object.assign(new Error(messageOf(error, [])), { code })

/** Certificates or keys among the options are no good. */
export const badContext = (error: unknown): Error => tlsError(error, "ERR_TLS_INVALID_CONTEXT")

/**
 * Calls a user's `checkServerIdentity` so that it cannot throw into Node's internals, and so that its
 * complaints are known as ones about the certificate.
 */
export const identityCheck =
  <A extends ReadonlyArray<unknown>>(check: (...args: A) => Error | undefined) =>
  (...args: A): Error | undefined => {
    try {
      const error = check(...args)
      return error === undefined ? undefined : tlsError(error, "CERT_REJECTED")
    } catch (error) {
      return tlsError(error, "CERT_REJECTED")
    }
  }

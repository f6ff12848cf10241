import * as Predicate from "#effect/Predicate"
import * as Redacted from "#effect/Redacted"
import { kindOf } from "../values/show.js"
import { withoutScheme } from "../values/withoutScheme.js"

/** How a URL may be given. */
export type UrlInput = string | URL | Redacted.Redacted<string>

const expected = "Expected a URL that begins with ws: or wss:"

/** The URL, or what is wrong with it: never the URL itself, which may hold secrets. */
export const parse = (input: unknown): URL | string => {
  const value = Redacted.isRedacted(input) ? Redacted.value(input) : input
  if (value === undefined || value === null) return `${expected}, got none`
  const hostAndPort = typeof value === "string" ? withoutScheme.exec(value) : null
  if (hostAndPort !== null) {
    const [, shown, path] = hostAndPort
    return `${expected}, got one without a scheme: did you mean ws://${shown}${path === undefined ? "" : "/…"}?`
  }
  // A URL may be of another realm, or of a library.
  const text: unknown = Predicate.hasProperty(value, "href") ? value.href : value
  if (typeof text !== "string") return `${expected}, got ${kindOf(value)}${adviceOn(value)}`
  let url: URL
  try {
    url = new URL(text)
  } catch {
    return isWebSocket.test(text)
      ? `${expected}, got one that cannot be parsed: look at its host and port`
      : `${expected}, got a text that cannot be parsed as a URL`
  }
  if (url.protocol === "http:" || url.protocol === "https:") {
    return `${expected}, got one that begins with ${url.protocol}; use ${url.protocol === "http:" ? "ws:" : "wss:"} instead`
  }
  // Anything else in this place may be a user name: "user:password@host" is a URL, too.
  if (url.protocol !== "ws:" && url.protocol !== "wss:")
    return `${expected}, got one with another scheme, or without one`
  return url.hash === "" ? url : "Expected a URL without a fragment (#…)"
}

const isWebSocket = /^\s*wss?:/i

/** What a promise needs; nobody else looks at it, and if it rejects, that must not end the program. */
export const adviceOn = (input: unknown): string => {
  if (!Predicate.isPromiseLike(input)) return ""
  input.then(ignore, ignore)
  return ": wrap it in Effect.promise"
}

const ignore = (): void => {}

/** A URL without user info, query string and fragment: what may be shown. */
export const redact = (url: URL): string => `${url.protocol}//${url.host}${url.pathname}`

/** What is shown in place of a URL that is not known yet. */
export const unknown = "<unknown URL>"

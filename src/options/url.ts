import * as Redacted from "#effect/Redacted"

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
  let url: URL
  try {
    url = new URL(value instanceof URL ? value.href : String(value))
  } catch {
    return `${expected}, got a text that is no URL`
  }
  if (url.protocol === "http:" || url.protocol === "https:") {
    return `${expected}, got one that begins with ${url.protocol}; use ${url.protocol === "http:" ? "ws:" : "wss:"} instead`
  }
  // Anything else in this place may be a user name: "user:password@host" is a URL, too.
  if (url.protocol !== "ws:" && url.protocol !== "wss:")
    return `${expected}, got one with another scheme, or without one`
  return url.hash === "" ? url : "Expected a URL without a fragment (#…)"
}

/**
 * What is clearly a host, and no secret: `localhost`, or a name with dots or an address, with a port. Without a port it
 * may be a token, without dots a user name and a password.
 */
const withoutScheme =
  /^\s*(localhost(?::\d{1,5})?|(?:[a-z0-9-]+(?:\.[a-z0-9-]+)+|\[[0-9a-f:.]+\]):\d{1,5})(\/[^?#@]*)?\s*$/i

/** A URL without user info, query string and fragment: what may be shown. */
export const redact = (url: URL): string => `${url.protocol}//${url.host}${url.pathname}`

/** What is shown in place of a URL that is not known yet. */
export const unknown = "<unknown URL>"

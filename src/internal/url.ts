import * as Redacted from "effect/Redacted"

/** How a URL may be given. */
export type UrlInput = string | URL | Redacted.Redacted<string>

/** The URL, or what is wrong with it: never the URL itself, which may hold secrets. */
export const parse = (input: unknown): URL | string => {
  const value = Redacted.isRedacted(input) ? Redacted.value(input) : input
  if (value === undefined || value === null) return "Expected a URL that begins with ws: or wss:, got none"
  let url: URL
  try {
    url = new URL(value instanceof URL ? value.href : String(value))
  } catch {
    return "Expected a URL that begins with ws: or wss:, got a text that is no URL"
  }
  if (url.protocol !== "ws:" && url.protocol !== "wss:") {
    // Anything else in this place may be a user name: "user:password@host" is a URL, too.
    const given = /^https?:$/.test(url.protocol) ? `, got one that begins with ${url.protocol}` : ""
    return `Expected a URL that begins with ws: or wss:${given}`
  }
  return url.hash === "" ? url : "Expected a URL without a fragment (#…)"
}

/** A URL without user info, query string and fragment: what may be shown. */
export const redact = (url: URL): string => `${url.protocol}//${url.host}${url.pathname}`

/** What is shown in place of a URL that is not known yet. */
export const unknown = "<unknown URL>"

import * as Predicate from "#effect/Predicate"
import * as Redacted from "#effect/Redacted"
import { kindOf } from "../values/show.js"
import { adviceOn } from "./url.js"

/** Header fields that cannot be sent: what is wrong with each of them. It has their names, never their values. */
export class BadHeaders {
  constructor(
    readonly problems: ReadonlyArray<string>,
    /** Whether all that is missing are values, which may be there the next time. */
    readonly isRetryable: boolean
  ) {}

  get message(): string {
    return this.problems.join("; ")
  }
}

/** What names of header fields and subprotocols consist of. */
export const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** What to use in place of a header that is the transport's own, by its name in lower case. */
const instead: ReadonlyMap<string, string> = new Map([
  ["sec-websocket-protocol", "use the option protocols"],
  ["sec-websocket-extensions", "use the option perMessageDeflate of the transport, as in NodeWebSocketTransport.layer"]
])

const isOwn = (name: string): boolean =>
  name === "connection" || name === "upgrade" || name.startsWith("sec-websocket-")

/** The header fields as the transport wants them. */
export const decodeHeaders = (input: unknown): Record<string, string> | BadHeaders => {
  if (
    !Predicate.isObject(input) ||
    Predicate.isPromiseLike(input) ||
    Symbol.iterator in input ||
    Redacted.isRedacted(input)
  ) {
    return new BadHeaders([`Expected a record of header fields, got ${kindOf(input)}${hint(input)}`], false)
  }
  const headers: Record<string, string> = {}
  const problems: Array<string> = []
  let isRetryable = true
  for (const [name, given] of Object.entries(input)) {
    const value = Redacted.isRedacted(given) ? Redacted.value(given) : given
    const isMissing = value === undefined || value === null
    const problem = problemOf(name) ?? (isMissing ? missing(name) : undefined)
    if (problem !== undefined) {
      problems.push(problem)
      isRetryable &&= isMissing && problemOf(name) === undefined
    } else if (isText(value)) headers[name] = value
    else {
      problems.push(`Expected the value of header ${JSON.stringify(name)} to be one line of Latin-1 text`)
      isRetryable = false
    }
  }
  return problems.length === 0 ? headers : new BadHeaders(problems, isRetryable)
}

const hint = (input: unknown): string =>
  Redacted.isRedacted(input)
    ? ": redact the values one by one"
    : Predicate.isIterable(input) && typeof input !== "string"
      ? ": use Object.fromEntries"
      : adviceOn(input)

/** What is wrong with a name, whatever its value. */
const problemOf = (name: string): string | undefined => {
  if (!token.test(name)) return `Expected header names of letters, digits and -, got ${JSON.stringify(name)}`
  const known = name.toLowerCase()
  return isOwn(known)
    ? `The header ${JSON.stringify(name)} is the transport's own: ${instead.get(known) ?? "leave it out, the transport sends it"}`
    : undefined
}

const missing = (name: string): string =>
  `Expected a value of header ${JSON.stringify(name)}, got none: is a variable not set? Leave out what is not to be sent`

const isText = (value: unknown): value is string => typeof value === "string" && !/[^\t\x20-\x7e\x80-\xff]/.test(value)

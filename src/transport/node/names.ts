import { nearest } from "../../values/nearest.js"
import { kindOf } from "../../values/show.js"
import { transportOptions } from "../../values/transportOptions.js"
import type { Options } from "./options.js"

type Kind = "true or false" | "a text" | "a number" | "a function" | "an object" | "anything"

// The compiler sees to it that no option is missing, here and in the list. What `tls` and the proxy complain of by themselves may be anything.

const kinds: { readonly [K in (typeof transportOptions)[number]]: Kind } = {
  perMessageDeflate: "anything",
  proxy: "anything",
  agent: "an object",
  ca: "anything",
  cert: "anything",
  key: "anything",
  pfx: "anything",
  passphrase: "anything",
  rejectUnauthorized: "true or false",
  servername: "a text",
  checkServerIdentity: "a function",
  ciphers: "anything",
  minVersion: "anything",
  maxVersion: "anything",
  followRedirects: "true or false",
  maxRedirects: "a number",
  localAddress: "a text",
  family: "a number",
  lookup: "a function",
  origin: "a text",
  ownFrames: "true or false"
} satisfies { readonly [K in keyof Required<Options>]: Kind }

const names: ReadonlyArray<string> = transportOptions

/** The options of the pool, of which a transport has no say: a test holds them to the pool's own list. */
const ofPool: ReadonlyArray<string> = [
  "url",
  "protocols",
  "headers",
  "name",
  "minConnections",
  "maxConnections",
  "acquireTimeout",
  "maxWaiters",
  "connectTimeout",
  "retry",
  "idleTimeout",
  "connectionTTL",
  "pingInterval",
  "pingTimeout",
  "validateAfterIdle",
  "healthCheck",
  "onConnect",
  "onRelease",
  "drain",
  "discardOn",
  "receiveBuffer",
  "sendBuffer",
  "maxPayload",
  "quota",
  "leakThreshold",
  "shutdownTimeout",
  "closeTimeout"
]

const types: { readonly [K in Kind]: string | undefined } = {
  "true or false": "boolean",
  "a text": "string",
  "a number": "number",
  "a function": "function",
  "an object": "object",
  anything: undefined
}

/** What is wrong with the options, whatever server they are for. One that is undefined is as one not given. */
export const problemsOf = (options: Options): ReadonlyArray<string> => {
  const problems: Array<string> = []
  let areListed = false
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue
    if (!names.includes(name)) {
      if (ofPool.includes(name)) {
        problems.push(`the transport's option ${name} does not exist: it is an option of the pool`)
        continue
      }
      const like = nearest(name, names)
      const advice =
        like !== undefined ? `: did you mean ${like}?` : areListed ? "" : `: there are only ${names.join(", ")}`
      areListed ||= like === undefined
      problems.push(`the transport's option ${name} does not exist${advice}`)
      continue
    }
    const kind = kinds[name as keyof Options]
    const type = types[kind]
    // Not the value: who has mistaken one option for another may have put a secret there.
    if (type !== undefined && (typeof value !== type || value === null)) {
      problems.push(`the transport's option ${name}: expected ${kind}, got ${kindOf(value)}`)
    }
  }
  if (options.proxy !== undefined && options.agent !== undefined) {
    problems.push(
      "the transport's options proxy and agent exclude each other: an agent makes its own way to the server; leave one out"
    )
  }
  return problems
}

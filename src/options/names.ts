import type { DrainOptions, Options } from "./options.js"
import type { Problems } from "./problems.js"

// The compiler sees to it that no option is missing.

const names: { readonly [K in keyof Required<Options>]: true } = {
  url: true,
  protocols: true,
  headers: true,
  name: true,
  minConnections: true,
  maxConnections: true,
  acquireTimeout: true,
  maxWaiters: true,
  connectTimeout: true,
  retry: true,
  idleTimeout: true,
  connectionTTL: true,
  pingInterval: true,
  pingTimeout: true,
  validateAfterIdle: true,
  healthCheck: true,
  onConnect: true,
  onRelease: true,
  drain: true,
  discardOn: true,
  receiveBuffer: true,
  sendBuffer: true,
  maxPayload: true,
  leakThreshold: true,
  shutdownTimeout: true,
  closeTimeout: true
}

const drainNames: { readonly [K in keyof Required<DrainOptions>]: true } = {
  quietPeriod: true,
  timeout: true,
  condition: true
}

export const optionNames: ReadonlyArray<string> = Object.keys(names)
export const drainOptionNames: ReadonlyArray<string> = Object.keys(drainNames)
export const limitNames: ReadonlyArray<string> = ["minConnections", "maxConnections"]

/** What options are called in other pools, where that looks like none of ours. */
const elsewhere: ReadonlyMap<string, string> = new Map([
  ["checkserverdataonrelease", "drain"],
  ["cleanupinterval", "idleTimeout"],
  ["connectionlimit", "maxConnections"],
  ["keepalivetime", "pingInterval"],
  ["leakdetectionthreshold", "leakThreshold"],
  ["max", "maxConnections"],
  ["maximumpoolsize", "maxConnections"],
  ["maxlifetime", "connectionTTL"],
  ["maxpoolsize", "maxConnections"],
  ["min", "minConnections"],
  ["minimumidle", "minConnections"],
  ["poolsize", "maxConnections"],
  ["size", "maxConnections"],
  ["subprotocols", "protocols"],
  ["warmupconnections", "minConnections"]
])

/** Notes the options that do not exist. One that is undefined is as one not given. */
export const rejectUnknown = (
  problems: Problems,
  options: Readonly<Record<string, unknown>>,
  known: ReadonlyArray<string>,
  path: ReadonlyArray<string> = []
): void => {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || known.includes(name)) continue
    const like = nearest(name, known)
    const advice = like === undefined ? `there are only ${known.join(", ")}` : `did you mean ${JSON.stringify(like)}?`
    problems.add([...path, name], `Unknown option ${JSON.stringify(name)}: ${advice}`)
  }
}

const nearest = (name: string, known: ReadonlyArray<string>): string | undefined => {
  const plain = plainly(name)
  const translated = elsewhere.get(plain)
  if (translated !== undefined && known.includes(translated)) return translated
  let best: string | undefined
  // Half of the letters: farther away, everything is like anything.
  let least = plain.length / 2
  for (const candidate of known) {
    const distance = distanceOf(plain, plainly(candidate))
    if (distance < least || (distance === least && best === undefined)) {
      best = candidate
      least = distance
    }
  }
  return best
}

/** `max_connections` is `maxConnections`, too. */
const plainly = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, "")

/** How many letters have to be put in, left out or replaced (Levenshtein). */
const distanceOf = (from: string, to: string): number => {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const replaced = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1))
    }
    row = next
  }
  return row[to.length]!
}

import { nearest } from "../values/nearest.js"
import { transportOptions } from "../values/transportOptions.js"
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
  quota: true,
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

const ofTransport: ReadonlyArray<string> = transportOptions

/** Notes the options that do not exist. One that is undefined is as one not given. */
export const rejectUnknown = (
  problems: Problems,
  options: Readonly<Record<string, unknown>>,
  known: ReadonlyArray<string>,
  path: ReadonlyArray<string> = []
): void => {
  let areListed = false
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || known.includes(name)) continue
    const like = nearest(name, known, elsewhere)
    const advice: string =
      known === optionNames && ofTransport.includes(name)
        ? ": it is an option of the transport, as in NodeWebSocketTransport.layer"
        : like !== undefined
          ? `: did you mean ${JSON.stringify(like)}?`
          : areListed
            ? ""
            : `: there are only ${known.join(", ")}`
    areListed ||= advice.startsWith(": there are only")
    problems.add([...path, name], `Unknown option ${JSON.stringify(name)}${advice}`)
  }
}

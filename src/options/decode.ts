import { isKey, limited } from "#dialect"
import type * as Config from "#effect/Config"
import type * as Context from "#effect/Context"
import type * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Predicate from "#effect/Predicate"
import * as Schedule from "#effect/Schedule"
import type { DrainSettings } from "../connection/draining.js"
import type { WebSocketConnection } from "../connection/handle.js"
import type { ConnectionUnavailableError } from "../values/errors.js"
import type { ConnectionQuota } from "../values/quota.js"
import { kindOf, show } from "../values/show.js"
import * as defaults from "./defaults.js"
import { BadHeaders, decodeHeaders, token } from "./headers.js"
import { drainOptionNames, limitNames, optionNames, rejectUnknown } from "./names.js"
import type { DrainOptions, HeadersInput, Options } from "./options.js"
import { badInput, Problems, poolCalled } from "./problems.js"
import * as url from "./url.js"

/** A hook, whose context is that of the pool's fibers. */
export type Hook = (connection: WebSocketConnection) => Effect.Effect<unknown, unknown>

/** A quota, or the tag under which it is found. */
export type QuotaSource = ConnectionQuota | Context.Key<unknown, ConnectionQuota>

/** The options, decoded once: durations in milliseconds, every default filled in. */
export interface Settings {
  readonly name: string
  readonly url: url.UrlInput | Effect.Effect<url.UrlInput, unknown>
  readonly headers: HeadersInput | Effect.Effect<HeadersInput, unknown>
  readonly protocols: ReadonlyArray<string>
  readonly minConnections: number
  readonly maxConnections: number
  readonly quota: QuotaSource | undefined
  readonly acquireTimeout: number
  readonly maxWaiters: number
  readonly connectTimeout: Duration.Duration
  readonly retry: Schedule.Schedule<unknown, ConnectionUnavailableError>
  readonly idleTimeout: number
  readonly connectionTTL: number
  readonly pingInterval: number
  readonly pingTimeout: number
  readonly validateAfterIdle: number
  readonly healthCheck: Hook | undefined
  readonly onConnect: Hook | undefined
  readonly onRelease: Hook | undefined
  readonly drain: DrainSettings | undefined
  readonly discardOn: (exit: Exit.Exit<unknown, unknown>) => boolean
  readonly receiveBuffer: number
  readonly sendBuffer: number
  readonly maxPayload: number
  readonly leakThreshold: number
  readonly shutdownTimeout: number
  readonly closeTimeout: number
}

const defaultRetry = Schedule.exponential(defaults.retryBase, defaults.retryFactor).pipe(
  Schedule.jittered,
  limited(defaults.retryTimes)
)

const decodeProtocols = (
  problems: Problems,
  input: string | ReadonlyArray<string> | undefined
): ReadonlyArray<string> => {
  const protocols = input === undefined ? [] : typeof input === "string" ? [input] : input
  const isValid = Array.isArray(protocols) && protocols.every((one) => typeof one === "string" && token.test(one))
  if (!isValid || new Set(protocols).size < protocols.length) {
    problems.add(
      ["protocols"],
      `Expected distinct subprotocol names without blanks and commas, one or an array of them, got ${show(input)}`
    )
  }
  return protocols
}

/** Of a tag it does not matter here whose it is. */
type AnyOptions = Omit<Options<unknown, unknown, unknown, unknown, unknown>, "quota"> & { readonly quota?: unknown }

/** Fails with one `ConfigError` that names every bad option, and the pool; without a name of its own it has its tag's. */
export const decode = (
  options: AnyOptions,
  tag: string | undefined = undefined,
  problems: Problems = new Problems()
): Effect.Effect<Settings, Config.ConfigError> =>
  Effect.suspend(() => {
    if (!Predicate.isObject(options) || Effect.isEffect(options)) {
      const example = '{ url: "wss://server.example" }'
      const message = `Expected an object of options, such as ${example}, got ${kindOf(options)}`
      return badInput(poolCalled(tag ?? defaults.name), ["options"], message)
    }
    const settings = read(problems, options)
    return problems.orElse(settings, poolCalled(options.name === undefined && tag !== undefined ? tag : settings.name))
  })

const read = (problems: Problems, options: AnyOptions & Readonly<Record<string, unknown>>): Settings => {
  rejectUnknown(problems, options, optionNames)
  const target = Effect.isEffect(options.url) || problems.isUnread("url") ? undefined : url.parse(options.url)
  if (typeof target === "string") problems.add(["url"], target)
  if (options.headers !== undefined && !Effect.isEffect(options.headers)) {
    const headers = decodeHeaders(options.headers)
    if (headers instanceof BadHeaders) for (const problem of headers.problems) problems.add(["headers"], problem)
  }
  if (options.retry !== undefined && !Schedule.isSchedule(options.retry)) {
    problems.add(["retry"], `Expected a Schedule, got ${show(options.retry)}`)
  }
  return {
    name: decodeName(problems, options.name) ?? (target instanceof URL ? target.host : defaults.name),
    url: options.url as Settings["url"],
    headers: (options.headers ?? {}) as Settings["headers"],
    protocols: decodeProtocols(problems, options.protocols),
    ...problems.limits(
      options.minConnections,
      options.maxConnections,
      defaults.minConnections,
      defaults.maxConnections
    ),
    quota: decodeQuota(problems, options.quota),
    acquireTimeout: problems.millis(["acquireTimeout"], options.acquireTimeout, defaults.acquireTimeout),
    maxWaiters: problems.integer("maxWaiters", options.maxWaiters, defaults.maxWaiters, 0, true),
    connectTimeout: problems.duration(["connectTimeout"], options.connectTimeout, defaults.connectTimeout),
    retry: options.retry ?? defaultRetry,
    idleTimeout: problems.millis(["idleTimeout"], options.idleTimeout, defaults.idleTimeout),
    connectionTTL: problems.millis(["connectionTTL"], options.connectionTTL, defaults.connectionTTL),
    pingInterval: problems.millis(["pingInterval"], options.pingInterval, defaults.pingInterval),
    pingTimeout: problems.millis(["pingTimeout"], options.pingTimeout, defaults.pingTimeout),
    validateAfterIdle: problems.millis(["validateAfterIdle"], options.validateAfterIdle, defaults.validateAfterIdle),
    healthCheck: problems.hook(["healthCheck"], options.healthCheck) as Hook | undefined,
    onConnect: problems.hook(["onConnect"], options.onConnect) as Hook | undefined,
    onRelease: problems.hook(["onRelease"], options.onRelease) as Hook | undefined,
    drain: decodeDrain(problems, options.drain),
    discardOn: problems.hook(["discardOn"], options.discardOn) ?? Exit.isFailure,
    receiveBuffer: problems.integer("receiveBuffer", options.receiveBuffer, defaults.receiveBuffer, 0, true),
    sendBuffer: problems.integer("sendBuffer", options.sendBuffer, defaults.sendBuffer, 0, true),
    maxPayload: problems.integer("maxPayload", options.maxPayload, defaults.maxPayload, 1),
    leakThreshold: problems.millis(["leakThreshold"], options.leakThreshold, defaults.leakThreshold),
    shutdownTimeout: problems.millis(["shutdownTimeout"], options.shutdownTimeout, defaults.shutdownTimeout),
    closeTimeout: problems.millis(["closeTimeout"], options.closeTimeout, defaults.closeTimeout)
  }
}

/** A tag finds its quota in the context; its own class may have members of any name. */
export const isQuota = (source: QuotaSource): source is ConnectionQuota => !isKey(source)

const decodeQuota = (problems: Problems, input: unknown): QuotaSource | undefined => {
  if (input === undefined) return undefined
  if (isKey(input) || (Predicate.hasProperty(input, "join") && typeof input.join === "function")) {
    return input as QuotaSource
  }
  problems.add(["quota"], `Expected a ConnectionQuota, or the tag of one, got ${show(input)}`)
  return undefined
}

const decodeName = (problems: Problems, input: unknown): string | undefined => {
  if (input === undefined || (typeof input === "string" && input !== "")) return input
  problems.add(["name"], `Expected a text that is not empty, got ${show(input)}`)
  return undefined
}

const decodeDrain = (problems: Problems, input: DrainOptions | undefined): DrainSettings | undefined => {
  if (input === undefined) return undefined
  if (!Predicate.isObject(input)) {
    problems.add(["drain"], `Expected an object with a quietPeriod, got ${show(input)}`)
    return undefined
  }
  const drain: DrainOptions & Readonly<Record<string, unknown>> = input
  rejectUnknown(problems, drain, drainOptionNames, ["drain"])
  return {
    quietPeriod: problems.millis(["drain", "quietPeriod"], drain.quietPeriod),
    timeout: problems.millis(["drain", "timeout"], drain.timeout, defaults.drainTimeout),
    condition: problems.hook(["drain", "condition"], drain.condition) ?? (() => true)
  }
}

/** The limits for `resize`. */
export const decodeLimits = (
  limits: { readonly minConnections?: number | undefined; readonly maxConnections?: number | undefined },
  current: { readonly min: number; readonly max: number },
  pool: string
): Effect.Effect<{ readonly minConnections: number; readonly maxConnections: number }, Config.ConfigError> =>
  Effect.suspend(() => {
    if (!Predicate.isObject(limits)) {
      const example = "{ minConnections: 1, maxConnections: 10 }"
      return badInput(
        poolCalled(pool),
        ["limits"],
        `Expected an object of limits, such as ${example}, got ${kindOf(limits)}`
      )
    }
    const problems = new Problems()
    const given: typeof limits & Readonly<Record<string, unknown>> = limits
    rejectUnknown(problems, given, limitNames)
    return problems.orElse(
      problems.limits(given.minConnections, given.maxConnections, current.min, current.max),
      poolCalled(pool)
    )
  })

import * as ConfigError from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type { ConnectionUnavailableError } from "../PoolError.js"
import type { WebSocketConnection } from "../WebSocketConnection.js"
import type { HeadersInput, Options } from "../WebSocketPool.js"
import type { Message } from "../WebSocketTransport.js"
import * as defaults from "./defaults.js"
import * as url from "./url.js"

/** A hook, whose context is that of the pool's fibers. */
export type Hook = (connection: WebSocketConnection) => Effect.Effect<unknown, unknown>

/** The options, decoded once: durations in milliseconds, every default filled in. */
export interface Settings {
  readonly name: string
  readonly url: url.UrlInput | Effect.Effect<url.UrlInput, unknown>
  readonly headers: HeadersInput | Effect.Effect<HeadersInput, unknown>
  readonly protocols: ReadonlyArray<string>
  readonly minConnections: number
  readonly maxConnections: number
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

export interface DrainSettings {
  readonly quietPeriod: number
  readonly timeout: number
  readonly condition: (message: Message) => boolean
}

/** What is wrong with the options, all of it. */
class Problems {
  private error: ConfigError.ConfigError | undefined

  add(path: ReadonlyArray<string>, message: string): void {
    const one = ConfigError.InvalidData([...path], message)
    this.error = this.error === undefined ? one : ConfigError.And(this.error, one)
  }

  orElse<A>(value: A): Effect.Effect<A, ConfigError.ConfigError> {
    return this.error === undefined ? Effect.succeed(value) : Effect.fail(this.error)
  }

  /** Without a fallback it is required. */
  duration(path: ReadonlyArray<string>, input: unknown, fallback?: Duration.Duration): Duration.Duration {
    if (input === undefined && fallback !== undefined) return fallback
    const decoded = isNegative(input) ? Option.none() : Duration.decodeUnknown(input)
    if (Option.isSome(decoded)) return decoded.value
    const allowed = 'a duration that is not negative, such as "5 seconds" or a number of milliseconds'
    this.add(path, `Expected ${allowed}, got ${show(input)}`)
    return fallback ?? Duration.zero
  }

  millis(path: ReadonlyArray<string>, input: unknown, fallback?: Duration.Duration): number {
    return Duration.toMillis(this.duration(path, input, fallback))
  }

  integer(name: string, input: unknown, fallback: number, least: number, allowInfinity = false): number {
    if (input === undefined) return fallback
    if (
      typeof input === "number" &&
      input >= least &&
      (Number.isSafeInteger(input) || (allowInfinity && input === Number.POSITIVE_INFINITY))
    ) {
      return input
    }
    const kind = least === 0 ? "an integer that is not negative" : "a positive integer"
    this.add([name], `Expected ${kind}, got ${show(input)}`)
    return fallback
  }

  hook<F>(path: ReadonlyArray<string>, input: F | undefined): F | undefined {
    if (input === undefined || typeof input === "function") return input
    this.add(path, `Expected a function, got ${show(input)}`)
    return undefined
  }

  limits(min: number | undefined, max: number | undefined, fallbackMin: number, fallbackMax: number) {
    const maxConnections = this.integer("maxConnections", max, fallbackMax, 1)
    const minConnections = this.integer("minConnections", min, fallbackMin, 0)
    if (minConnections > maxConnections) {
      this.add(["minConnections"], `Expected at most maxConnections (${maxConnections}), got ${minConnections}`)
    }
    return { minConnections, maxConnections }
  }
}

/** On one line. Of an object only the keys: who has mistaken one option for another may have put a secret there. */
const show = (input: unknown): string => {
  if (typeof input === "string") return JSON.stringify(input)
  if (typeof input === "bigint") return `${input}n`
  if (typeof input === "function") return "a function"
  if (Effect.isEffect(input)) return "an Effect"
  if (Array.isArray(input)) return `[${input.map(show).join(", ")}]`
  if (typeof input !== "object" || input === null) return String(input)
  const keys = Object.keys(input).map((key) => `${key}: …`)
  return keys.length === 0 ? "an object" : `{ ${keys.join(", ")} }`
}

/** `Duration` takes what is negative for zero. */
const isNegative = (input: unknown): boolean =>
  typeof input === "number"
    ? Number.isNaN(input) || input < 0
    : typeof input === "bigint"
      ? input < 0n
      : typeof input === "string"
        ? input.trim().startsWith("-")
        : Array.isArray(input) && input.some(isNegative)

const defaultRetry = Schedule.exponential(defaults.retryBase, defaults.retryFactor).pipe(
  Schedule.jittered,
  Schedule.intersect(Schedule.recurs(defaults.retryTimes))
)

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** The header fields as the transport wants them, or what is wrong with them: their names, never their values. */
export const decodeHeaders = (input: HeadersInput): Record<string, string> | string => {
  const headers: Record<string, string> = {}
  for (const [name, given] of Object.entries(input)) {
    if (given === undefined) continue
    const value = Redacted.isRedacted(given) ? Redacted.value(given) : given
    if (!token.test(name)) return `Expected header names of letters, digits and -, got ${JSON.stringify(name)}`
    if (typeof value !== "string" || /[^\t\x20-\x7e\x80-\xff]/.test(value)) {
      return `Expected the value of header ${JSON.stringify(name)} to be one line of Latin-1 text`
    }
    headers[name] = value
  }
  return headers
}

const decodeProtocols = (
  problems: Problems,
  input: string | ReadonlyArray<string> | undefined
): ReadonlyArray<string> => {
  const protocols = input === undefined ? [] : typeof input === "string" ? [input] : input
  const isValid = Array.isArray(protocols) && protocols.every((one) => typeof one === "string" && token.test(one))
  if (!isValid || new Set(protocols).size < protocols.length) {
    problems.add(["protocols"], `Expected distinct subprotocol names without blanks, got ${show(input)}`)
  }
  return protocols
}

/** Fails with one `ConfigError` that names every bad option. */
export const decode = (
  options: Options<unknown, unknown, unknown, unknown, unknown>
): Effect.Effect<Settings, ConfigError.ConfigError> =>
  Effect.suspend(() => {
    const problems = new Problems()
    let host: string | undefined
    if (!Effect.isEffect(options.url)) {
      const parsed = url.parse(options.url)
      if (typeof parsed === "string") problems.add(["url"], parsed)
      else host = parsed.host
    }
    if (options.headers !== undefined && !Effect.isEffect(options.headers)) {
      const headers = Predicate.isRecord(options.headers)
        ? decodeHeaders(options.headers)
        : "Expected a record of header fields"
      if (typeof headers === "string") problems.add(["headers"], headers)
    }
    const drain = Predicate.isRecord(options.drain) ? options.drain : undefined
    if (drain === undefined && options.drain !== undefined) {
      problems.add(["drain"], `Expected an object with a quietPeriod, got ${show(options.drain)}`)
    }
    if (options.retry !== undefined && !Schedule.isSchedule(options.retry)) {
      problems.add(["retry"], `Expected a Schedule, got ${show(options.retry)}`)
    }
    const settings: Settings = {
      name: options.name ?? host ?? defaults.name,
      url: options.url as Settings["url"],
      headers: (options.headers ?? {}) as Settings["headers"],
      protocols: decodeProtocols(problems, options.protocols),
      ...problems.limits(
        options.minConnections,
        options.maxConnections,
        defaults.minConnections,
        defaults.maxConnections
      ),
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
      drain:
        drain === undefined
          ? undefined
          : {
              quietPeriod: problems.millis(["drain", "quietPeriod"], drain.quietPeriod),
              timeout: problems.millis(["drain", "timeout"], drain.timeout, defaults.drainTimeout),
              condition: problems.hook(["drain", "condition"], drain.condition) ?? (() => true)
            },
      discardOn: problems.hook(["discardOn"], options.discardOn) ?? Exit.isFailure,
      receiveBuffer: problems.integer("receiveBuffer", options.receiveBuffer, defaults.receiveBuffer, 0, true),
      sendBuffer: problems.integer("sendBuffer", options.sendBuffer, defaults.sendBuffer, 0, true),
      maxPayload: problems.integer("maxPayload", options.maxPayload, defaults.maxPayload, 1),
      leakThreshold: problems.millis(["leakThreshold"], options.leakThreshold, defaults.leakThreshold),
      shutdownTimeout: problems.millis(["shutdownTimeout"], options.shutdownTimeout, defaults.shutdownTimeout),
      closeTimeout: problems.millis(["closeTimeout"], options.closeTimeout, defaults.closeTimeout)
    }
    return problems.orElse(settings)
  })

/** The limits for `resize`. */
export const decodeLimits = (
  options: { readonly minConnections?: number | undefined; readonly maxConnections?: number | undefined },
  current: { readonly min: number; readonly max: number }
): Effect.Effect<{ readonly minConnections: number; readonly maxConnections: number }, ConfigError.ConfigError> =>
  Effect.suspend(() => {
    const problems = new Problems()
    return problems.orElse(problems.limits(options.minConnections, options.maxConnections, current.min, current.max))
  })

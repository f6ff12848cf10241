import * as ConfigError from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { show } from "../values/show.js"

/** What is wrong with the options of one pool, all of it. */
export class Problems {
  private error: ConfigError.ConfigError | undefined
  /** Options whose value could not be read. That is one problem, not two: nothing more is said of them. */
  private readonly unreadable = new Set<string>()

  add(path: ReadonlyArray<string>, message: string): void {
    this.include(ConfigError.InvalidData([...path], message))
  }

  /** An option has no value, because of this error. */
  unread(path: ReadonlyArray<string>, error: ConfigError.ConfigError): void {
    this.unreadable.add(path.join("."))
    this.include(error)
  }

  isUnread(...path: ReadonlyArray<string>): boolean {
    return this.unreadable.has(path.join("."))
  }

  private include(error: ConfigError.ConfigError): void {
    this.error = this.error === undefined ? error : ConfigError.And(this.error, error)
  }

  orElse<A>(value: A, pool: string): Effect.Effect<A, ConfigError.ConfigError> {
    return this.error === undefined ? Effect.succeed(value) : Effect.fail(named(pool, this.error))
  }

  /** Without a fallback it is required. */
  duration(path: ReadonlyArray<string>, input: unknown, fallback?: Duration.Duration): Duration.Duration {
    if (input === undefined && fallback !== undefined) return fallback
    if (this.isUnread(...path)) return Duration.zero
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
    if (minConnections > maxConnections && !this.isUnread("minConnections") && !this.isUnread("maxConnections")) {
      this.add(["minConnections"], `Expected at most maxConnections (${maxConnections}), got ${minConnections}`)
    }
    return { minConnections, maxConnections }
  }
}

/** A single problem, with which there is no reading the others. */
export const badInput = (
  pool: string,
  path: ReadonlyArray<string>,
  message: string
): Effect.Effect<never, ConfigError.ConfigError> =>
  Effect.fail(named(pool, ConfigError.InvalidData([...path], message)))

/**
 * The same error, which also says which pool it is about when it is printed. Paths stay what they are, so that whoever
 * looks for an option finds it by its name.
 */
export const named = (pool: string, error: ConfigError.ConfigError): ConfigError.ConfigError =>
  Object.defineProperties(Object.create(Object.getPrototypeOf(error)), {
    ...Object.getOwnPropertyDescriptors(error),
    toString: { enumerable: false, value: () => `Pool ${JSON.stringify(pool)}: ${error}` }
  })

/** `Duration` takes what is negative for zero. */
const isNegative = (input: unknown): boolean =>
  typeof input === "number"
    ? Number.isNaN(input) || input < 0
    : typeof input === "bigint"
      ? input < 0n
      : typeof input === "string"
        ? input.trim().startsWith("-")
        : Array.isArray(input) && input.some(isNegative)

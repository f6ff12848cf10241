import { both, invalid, named } from "#edition/options/configError"
import type * as Config from "#effect/Config"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Option from "#effect/Option"
import * as Predicate from "#effect/Predicate"
import { show } from "../values/show.js"

/** What has the options. */
type Kind = "Pool" | "Quota"

/** What is wrong with the options of one pool, all of it. */
export class Problems {
  private error: Config.ConfigError | undefined
  /** Options whose value could not be read. That is one problem, not two: nothing more is said of them. */
  private readonly unreadable = new Set<string>()

  add(path: ReadonlyArray<string>, message: string): void {
    this.include(invalid(path, message))
  }

  /** An option has no value, because of this error. */
  unread(path: ReadonlyArray<string>, error: Config.ConfigError): void {
    this.unreadable.add(path.join("."))
    this.include(error)
  }

  isUnread(...path: ReadonlyArray<string>): boolean {
    return this.unreadable.has(path.join("."))
  }

  private include(error: Config.ConfigError): void {
    this.error = this.error === undefined ? error : both(this.error, error)
  }

  orElse<A>(value: A, name: string, kind: Kind = "Pool"): Effect.Effect<A, Config.ConfigError> {
    return this.error === undefined ? Effect.succeed(value) : Effect.fail(named(name, this.error, kind))
  }

  /** Without a fallback it is required. */
  duration(path: ReadonlyArray<string>, input: unknown, fallback?: Duration.Duration): Duration.Duration {
    if (input === undefined && fallback !== undefined) return fallback
    if (this.isUnread(...path)) return Duration.zero
    const decoded = isNegative(input) ? Option.none() : Duration.fromInput(input as Duration.Input)
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
  name: string,
  path: ReadonlyArray<string>,
  message: string,
  kind: Kind = "Pool"
): Effect.Effect<never, Config.ConfigError> => Effect.fail(named(name, invalid(path, message), kind))

/** `Duration` takes what is negative for zero, or leaves it negative. */
const isNegative = (input: unknown): boolean =>
  typeof input === "number"
    ? Number.isNaN(input) || input < 0
    : typeof input === "bigint"
      ? input < 0n
      : typeof input === "string"
        ? input.trim().startsWith("-")
        : Array.isArray(input)
          ? input.some(isNegative)
          : Duration.isDuration(input)
            ? Duration.toMillis(input) < 0
            : Predicate.isObject(input) && !isMadeOfUnits(input)

const units: ReadonlyArray<string> = [
  "weeks",
  "days",
  "hours",
  "minutes",
  "seconds",
  "milliseconds",
  "microseconds",
  "nanoseconds"
]

/** Where `Duration` takes objects, one that has none of its units is zero to it. */
const isMadeOfUnits = (input: Readonly<Record<string, unknown>>): boolean => {
  const parts = Object.entries(input).filter(([, value]) => value !== undefined)
  return parts.length > 0 && parts.every(([unit, value]) => units.includes(unit) && !isNegative(value))
}

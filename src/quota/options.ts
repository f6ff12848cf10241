import type * as Config from "#effect/Config"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Predicate from "#effect/Predicate"
import { rejectUnknown } from "../options/names.js"
import { badInput, Problems } from "../options/problems.js"
import type { ConnectsLimit, QuotaLimits } from "../values/quota.js"
import { kindOf, show } from "../values/show.js"

/**
 * The options that every quota has.
 *
 * @category options
 * @since 3.0.0
 */
export interface QuotaOptions extends QuotaLimits {
  /** What is limited: an account, a key, an address. Never the key itself: the name is shown. Required. */
  readonly name: string
  /** Sockets of the fleet at once. Default: unlimited. */
  readonly connections?: number | undefined
  /**
   * Attempts to connect in any span of a window, for one window or several. Each counts from its grant until `window`
   * after it has ended. Default: unlimited.
   */
  readonly connects?: ConnectsLimit | ReadonlyArray<ConnectsLimit> | undefined
  /** How long a permit that was given back still counts, for servers that count a session after its socket. Default: 0. */
  readonly settle?: Duration.Input | undefined
  /**
   * Whose connections are given up for a `get` elsewhere that waits. `"fair"`: idle ones at once, and leased ones when
   * they are given back, from whoever has two more than the first in line. `"idle"`: idle ones only. `"none"`: none.
   * Default: `"fair"`.
   */
  readonly reclaim?: "fair" | "idle" | "none" | undefined
  /**
   * With `"fair"`, where workers outnumber permits: how old a connection gets before its worker gives it up, at the next
   * release, for one that has none. Default: infinity.
   */
  readonly turn?: Duration.Input | undefined
  /**
   * Statuses of a refused upgrade that pause the whole fleet: for the `Retry-After`, else for 1 second, doubling to 60
   * seconds until an attempt succeeds. Default: 429.
   */
  readonly backoffOn?: ReadonlyArray<number> | undefined
}

/** So many attempts in any span of so many milliseconds. */
export interface Window {
  readonly limit: number
  readonly millis: number
}

/** The options, decoded once. */
export interface QuotaSettings {
  readonly name: string
  readonly connections: number
  readonly windows: ReadonlyArray<Window>
  readonly settle: number
  readonly reclaim: "fair" | "idle" | "none"
  readonly turn: number
  readonly backoffOn: ReadonlyArray<number>
}

const defaultBackoff: ReadonlyArray<number> = [429]

const names: { readonly [K in keyof Required<QuotaOptions>]: true } = {
  name: true,
  connections: true,
  connects: true,
  settle: true,
  reclaim: true,
  turn: true,
  backoffOn: true
}

export const quotaOptionNames: ReadonlyArray<string> = Object.keys(names)
const limitNames: ReadonlyArray<string> = ["connections", "connects"]
const windowNames: ReadonlyArray<string> = ["limit", "window"]

type Given = QuotaOptions & Readonly<Record<string, unknown>>

/** Fails with one `ConfigError` that names the quota and every bad option. */
export const decodeQuota = (options: QuotaOptions): Effect.Effect<QuotaSettings, Config.ConfigError> =>
  decodeWith(options, quotaOptionNames, readQuota)

/** How an error calls a quota. */
export const quotaCalled = (name: string): string => `Quota ${JSON.stringify(name)}`

export const decodeWith = <A>(
  options: QuotaOptions,
  known: ReadonlyArray<string>,
  read: (problems: Problems, options: Given) => A
): Effect.Effect<A, Config.ConfigError> =>
  Effect.suspend(() => {
    if (!Predicate.isObject(options)) {
      const message = `Expected an object of options, such as { name: "speech:eu", connections: 100 }, got ${kindOf(options)}`
      return badInput(quotaCalled(""), ["options"], message)
    }
    const problems = new Problems()
    const given: Given = options as Given
    rejectUnknown(problems, given, known)
    const settings = read(problems, given)
    return problems.orElse(settings, quotaCalled(typeof given.name === "string" ? given.name : ""))
  })

export const readQuota = (problems: Problems, options: Given): QuotaSettings => {
  if (typeof options.name !== "string" || options.name === "") {
    problems.add(["name"], `Expected a text that is not empty, got ${show(options.name)}`)
  }
  return {
    name: options.name,
    ...readLimits(problems, options, Number.POSITIVE_INFINITY, []),
    settle: problems.millis(["settle"], options.settle, Duration.zero),
    reclaim: readReclaim(problems, options.reclaim),
    turn: problems.millis(["turn"], options.turn, Duration.infinity),
    backoffOn: readStatuses(problems, options.backoffOn)
  }
}

const readReclaim = (problems: Problems, input: QuotaOptions["reclaim"]): QuotaSettings["reclaim"] => {
  if (input === undefined || input === "fair" || input === "idle" || input === "none") return input ?? "fair"
  problems.add(["reclaim"], `Expected "fair", "idle" or "none", got ${show(input)}`)
  return "fair"
}

const readStatuses = (problems: Problems, input: QuotaOptions["backoffOn"]): ReadonlyArray<number> => {
  if (input === undefined) return defaultBackoff
  if (Array.isArray(input) && input.every((one) => Number.isInteger(one) && one >= 100 && one < 600)) return input
  problems.add(["backoffOn"], `Expected an array of HTTP statuses, got ${show(input)}`)
  return defaultBackoff
}

const readLimits = (
  problems: Problems,
  { connections, connects }: QuotaLimits,
  fallback: number,
  fallbackWindows: ReadonlyArray<Window>
): Pick<QuotaSettings, "connections" | "windows"> => ({
  connections: problems.integer("connections", connections, fallback, 1, true),
  windows: connects === undefined ? fallbackWindows : readWindows(problems, connects)
})

const readWindows = (problems: Problems, input: NonNullable<QuotaLimits["connects"]>): ReadonlyArray<Window> => {
  const isSeveral = Array.isArray(input)
  const windows: ReadonlyArray<unknown> = isSeveral ? input : [input]
  return windows.flatMap((given, index) => {
    const path = isSeveral ? ["connects", String(index)] : ["connects"]
    if (!Predicate.isObject(given)) {
      problems.add(path, `Expected { limit, window }, got ${show(given)}`)
      return []
    }
    const window: Readonly<Record<string, unknown>> = given as never
    rejectUnknown(problems, window, windowNames, path)
    const { limit } = window
    if (!(Number.isSafeInteger(limit) && Number(limit) >= 1)) {
      problems.add([...path, "limit"], `Expected a positive integer, got ${show(limit)}`)
    }
    const millis = problems.millis([...path, "window"], window.window)
    if (!(millis > 0 && Number.isFinite(millis)) && window.window !== undefined) {
      problems.add([...path, "window"], `Expected a finite duration above 0, got ${show(window.window)}`)
    }
    return [{ limit: Number(limit), millis }]
  })
}

/** The limits for `resize`; what is not given stays. */
export const decodeQuotaLimits = (
  limits: QuotaLimits,
  name: string
): Effect.Effect<{ readonly connections?: number; readonly windows?: ReadonlyArray<Window> }, Config.ConfigError> =>
  Effect.suspend(() => {
    if (!Predicate.isObject(limits)) {
      return badInput(
        quotaCalled(name),
        ["limits"],
        `Expected an object of limits, such as { connections: 50 }, got ${kindOf(limits)}`
      )
    }
    const problems = new Problems()
    const given: QuotaLimits & Readonly<Record<string, unknown>> = limits
    rejectUnknown(problems, given, limitNames)
    const { connections, windows } = readLimits(problems, given, 0, [])
    return problems.orElse(
      {
        ...(given.connections === undefined ? {} : { connections }),
        ...(given.connects === undefined ? {} : { windows })
      },
      quotaCalled(name)
    )
  })

/** A pause, in milliseconds. What is no duration is one of none: the type allows nothing else. */
export const millisOfPause = (duration: Duration.Input): number => {
  const decoded = Duration.fromInput(duration)
  return decoded._tag === "Some" ? Duration.toMillis(decoded.value) : 0
}

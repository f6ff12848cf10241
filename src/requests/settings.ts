import type * as Config from "#effect/Config"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Predicate from "#effect/Predicate"
import { rejectUnknown } from "../options/names.js"
import { badInput, Problems } from "../options/problems.js"
import { kindOf, show } from "../values/show.js"
import type { Options, Overflow, StreamOptions } from "./api.js"

/** The options, decoded once: durations in milliseconds, every default filled in. */
export interface RequestSettings {
  readonly concurrency: number
  readonly targetUtilization: number
  readonly min: number
  readonly max: number
  readonly idleTimeout: number
  readonly bufferSize: number
  readonly overflow: Overflow
  readonly retireTimeout: number
}

// One constant for each default of `Multiplexer.Options`.

export const concurrency = 100
export const targetUtilization = 0.5
export const minConnections = 0
export const maxConnections = Number.POSITIVE_INFINITY
export const idleTimeout = Duration.seconds(10)
export const bufferSize = 64
export const overflow: Overflow = "fail"
export const retireTimeout = Duration.seconds(30)

type AnyOptions = Omit<Options<never, unknown, unknown, unknown, unknown>, "codec" | "pool">

const names: { readonly [K in keyof Required<Options<never, never>>]: true } = {
  codec: true,
  concurrency: true,
  targetUtilization: true,
  minConnections: true,
  maxConnections: true,
  idleTimeout: true,
  bufferSize: true,
  overflow: true,
  retireTimeout: true,
  onNotice: true,
  pool: true
}

const sharedNames = Object.keys(names).filter((name) => name !== "codec")

/** Fails with one `ConfigError` that names every bad option. `own` are those of whoever stands on a multiplexer, who may have some of its own and be `without` others. */
export const decode = (
  options: AnyOptions,
  who: string,
  own: ReadonlyArray<string>,
  problems: Problems = new Problems(),
  without: ReadonlyArray<string> = []
): Effect.Effect<RequestSettings, Config.ConfigError> =>
  Effect.suspend(() => {
    if (!Predicate.isObject(options) || Effect.isEffect(options)) {
      return badInput(who, ["options"], `Expected an object of options, got ${kindOf(options)}`)
    }
    const given: AnyOptions & Readonly<Record<string, unknown>> = options
    rejectUnknown(problems, given, [...own, ...sharedNames.filter((name) => !without.includes(name))])
    if (own.includes("codec") && !Predicate.isFunction(given.codec)) {
      problems.add(["codec"], `Expected a function that makes a codec, got ${show(given.codec)}`)
    }
    problems.hook(["onNotice"], given.onNotice)
    const limits = problems.limits(given.minConnections, given.maxConnections, minConnections, maxConnections, true)
    return problems.orElse(
      {
        concurrency: problems.integer("concurrency", given.concurrency, concurrency, 1),
        targetUtilization: decodeUtilization(problems, given.targetUtilization),
        min: limits.minConnections,
        max: limits.maxConnections,
        idleTimeout: problems.millis(["idleTimeout"], given.idleTimeout, idleTimeout),
        bufferSize: problems.integer("bufferSize", given.bufferSize, bufferSize, 1, true),
        overflow: decodeOverflow(problems, given.overflow, overflow),
        retireTimeout: problems.millis(["retireTimeout"], given.retireTimeout, retireTimeout)
      },
      who
    )
  })

const decodeUtilization = (problems: Problems, input: unknown): number => {
  if (input === undefined) return targetUtilization
  if (typeof input === "number" && input > 0 && input <= 1) return input
  problems.add(["targetUtilization"], `Expected a number above 0 and up to 1, got ${show(input)}`)
  return targetUtilization
}

const decodeOverflow = (problems: Problems, input: unknown, fallback: Overflow): Overflow => {
  if (input === undefined) return fallback
  if (input === "fail" || input === "slide") return input
  problems.add(["overflow"], `Expected "fail" or "slide", got ${show(input)}`)
  return fallback
}

/** Of one stream; what is wrong with them is a fault of the program. */
export const decodeStream = (
  options: StreamOptions | undefined,
  settings: RequestSettings
): { readonly bufferSize: number; readonly overflow: Overflow } | TypeError => {
  const size = options?.bufferSize ?? settings.bufferSize
  const overflow = options?.overflow ?? settings.overflow
  if (!(size >= 1 && (Number.isSafeInteger(size) || size === Number.POSITIVE_INFINITY))) {
    return new TypeError(`The bufferSize of a stream has to be an integer of at least 1, and is ${show(size)}`)
  }
  if (overflow !== "fail" && overflow !== "slide") {
    return new TypeError(`The overflow of a stream has to be "fail" or "slide", and is ${show(overflow)}`)
  }
  return { bufferSize: size, overflow }
}

import { invalid, named, withoutValues } from "#edition/options/configError"
import * as Config from "#effect/Config"
import * as Effect from "#effect/Effect"
import * as Predicate from "#effect/Predicate"
import { kindOf } from "../values/show.js"
import { decode, type Settings } from "./decode.js"
import * as defaults from "./defaults.js"
import { optionNames } from "./names.js"
import type { Options, OptionsConfig } from "./options.js"
import { Problems, poolCalled } from "./problems.js"

/** Options that consist of several values, each of which may have a `Config` of its own. */
const nested = new Set(["drain", "headers"])

/** Reads the options, each by itself, so that one `ConfigError` names what cannot be read and what is no good. */
export const decodeConfig = <RUrl, RHeaders, ROnConnect, RHealthCheck, ROnRelease, RQuota>(
  wrapped: OptionsConfig<RUrl, RHeaders, ROnConnect, RHealthCheck, ROnRelease, RQuota>,
  tag?: string | undefined
): Effect.Effect<Settings, Config.ConfigError> =>
  Effect.suspend(() => {
    if (Config.isConfig(wrapped)) {
      return Effect.flatMap(
        Effect.mapError(wrapped, (error) => {
          const shown = withoutValues(error, (message) => message.includes("URL"))
          return named(poolCalled(tag ?? defaults.name), shown)
        }),
        (options) => decode(options as unknown as Options, tag)
      )
    }
    if (!Predicate.isObject(wrapped)) return decode(wrapped as never, tag)
    const problems = new Problems()
    return Effect.flatMap(readAll(problems, wrapped), (options) => decode(options as never, tag, problems))
  })

const readAll = (
  problems: Problems,
  wrapped: Readonly<Record<string, unknown>>,
  path: ReadonlyArray<string> = []
): Effect.Effect<Record<string, unknown>> =>
  Effect.gen(function* () {
    const values: Record<string, unknown> = {}
    for (const [name, value] of Object.entries(wrapped)) {
      const here = [...path, name]
      if (value === undefined) continue
      if (path.length === 0 && !optionNames.includes(name)) {
        // Its name is the problem. There is nothing to be read.
        values[name] = value
      } else if (Config.isConfig(value)) {
        yield* Effect.match(value, {
          onFailure: (error) => problems.unread(here, isSecret(here) ? withoutValues(error) : error),
          onSuccess: (read) => {
            values[name] = read
          }
        })
      } else if (path.length === 0 && nested.has(name) && isPlain(value)) {
        values[name] = yield* readAll(problems, value, here)
      } else {
        const advice = "wrap it, as in Config.succeed(…)"
        problems.unread(here, invalid(here, `Expected a Config, got ${kindOf(value)}: ${advice}`))
      }
    }
    return values
  })

const isPlain = (value: unknown): value is Record<string, unknown> =>
  Predicate.isObject(value) && [Object.prototype, null].includes(Object.getPrototypeOf(value))

const isSecret = ([option]: ReadonlyArray<string>): boolean => option === "url" || option === "headers"

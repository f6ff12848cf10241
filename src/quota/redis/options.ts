import type * as Config from "#effect/Config"
import * as Duration from "#effect/Duration"
import type * as Effect from "#effect/Effect"
import { show } from "../../values/show.js"
import { decodeWith, type QuotaOptions, type QuotaSettings, quotaOptionNames, readQuota } from "../options.js"

/**
 * The options of a quota whose engine is Redis or Valkey.
 *
 * @category options
 * @since 3.0.0
 */
export interface RedisQuotaOptions extends QuotaOptions {
  /** What every key of the engine begins with. Default: `"ewp:"`. */
  readonly prefix?: string | undefined
  /**
   * A worker that the engine has not heard of for so long loses its permits. It reports every third of it.
   * Default: 15 seconds.
   */
  readonly ttl?: Duration.Input | undefined
  /**
   * For how long nothing is granted after the engine has lost data, was away for more than half of `ttl`, fell back to
   * an older state, or is used for the first time: until every worker has reported. Default: a third of `ttl`, and
   * 1 second.
   */
  readonly recovery?: Duration.Input | undefined
  /**
   * Connections that this process may have while the engine cannot be asked. With 0 it opens none, so a fleet that
   * starts while the engine is down serves nothing; infinity is no limit. What is open stays open. Default: 0.
   */
  readonly unreachable?: number | undefined
  /**
   * What happens after `ttl` without the engine, when others may have been granted what this process holds: `"keep"`
   * keeps all connections, `"idle"` closes idle ones, `"close"` closes all, and ends leases as a shutdown does.
   * Default: `"keep"`.
   */
  readonly onLapse?: "keep" | "idle" | "close" | undefined
  /** An answer of the engine that comes later is none. Default: 2 seconds. */
  readonly commandTimeout?: Duration.Input | undefined
}

/** The options, decoded once: durations in milliseconds. */
export interface RedisQuotaSettings extends QuotaSettings {
  readonly prefix: string
  readonly ttl: number
  readonly recovery: number
  readonly unreachable: number
  readonly onLapse: "keep" | "idle" | "close"
  readonly commandTimeout: number
}

const ownNames: { readonly [K in keyof Required<Omit<RedisQuotaOptions, keyof QuotaOptions>>]: true } = {
  prefix: true,
  ttl: true,
  recovery: true,
  unreachable: true,
  onLapse: true,
  commandTimeout: true
}

const names: ReadonlyArray<string> = [...quotaOptionNames, ...Object.keys(ownNames), "client"]

const defaultPrefix = "ewp:"
const defaultTtl = Duration.seconds(15)
const defaultCommandTimeout = Duration.seconds(2)

/** Fails with one `ConfigError` that names the quota and every bad option. */
export const decodeRedisQuota = (options: RedisQuotaOptions): Effect.Effect<RedisQuotaSettings, Config.ConfigError> =>
  decodeWith(options, names, (problems, given) => {
    const { onLapse, prefix, recovery, ttl } = given as RedisQuotaOptions
    if (prefix !== undefined && typeof prefix !== "string") {
      problems.add(["prefix"], `Expected a text, got ${show(prefix)}`)
    }
    if (onLapse !== undefined && onLapse !== "keep" && onLapse !== "idle" && onLapse !== "close") {
      problems.add(["onLapse"], `Expected "keep", "idle" or "close", got ${show(onLapse)}`)
    }
    const positive = (name: string, input: unknown, fallback: Duration.Duration): number => {
      const millis = problems.millis([name], input, fallback)
      if (input !== undefined && (millis <= 0 || !Number.isFinite(millis))) {
        problems.add([name], `Expected a finite duration above 0, got ${show(input)}`)
      }
      return millis
    }
    const life = positive("ttl", ttl, defaultTtl)
    return {
      ...readQuota(problems, given),
      prefix: prefix ?? defaultPrefix,
      ttl: life,
      recovery: problems.millis(["recovery"], recovery, Duration.millis(life / 3 + 1000)),
      unreachable: problems.integer("unreachable", given.unreachable as number | undefined, 0, 0, true),
      onLapse: onLapse ?? "keep",
      commandTimeout: positive("commandTimeout", given.commandTimeout, defaultCommandTimeout)
    }
  })

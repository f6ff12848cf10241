import { environment, interrupt, random } from "#dialect"
import * as Clock from "#effect/Clock"
import type * as Config from "#effect/Config"
import * as Effect from "#effect/Effect"
import type * as Scope from "#effect/Scope"
import { Timers } from "../../core/timers.js"
import type { ConnectionQuota } from "../../values/quota.js"
import type { Client } from "./client.js"
import { EngineLink } from "./link.js"
import type { RedisQuotaSettings } from "./options.js"
import type { Terms } from "./report.js"
import { Worker } from "./worker.js"

const keyNames = ["w", "e", "a", "l", "r", "o", "c", "s"]

/** Makes a worker on a client. It never waits for the engine, but for its own farewell. */
export const make = (
  settings: RedisQuotaSettings,
  client: Client
): Effect.Effect<ConnectionQuota, Config.ConfigError, Scope.Scope> =>
  Effect.gen(function* () {
    const { fork } = yield* environment<never>({ isQuiet: true, isInterruptible: true })
    const clock = yield* Clock.clockWith(Effect.succeed)
    const timers = new Timers(clock, (effect) => fork(effect, { immediate: false }), interrupt)
    const draw = yield* random
    // All keys of a quota are in one slot of a cluster.
    const root = `${settings.prefix}{${settings.name}}:`
    const terms: Terms = {
      keys: keyNames.map((key) => root + key),
      channel: `${root}to:`,
      ttl: settings.ttl,
      recovery: settings.recovery,
      settle: settings.settle,
      reclaim: settings.reclaim,
      connections: settings.connections,
      windows: settings.windows
    }
    const id = Array.from({ length: 4 }, () => Math.floor(draw() * 2 ** 32).toString(36)).join("")
    const link = new EngineLink(settings.name, client, terms, timers, fork, settings.commandTimeout)
    const worker = new Worker(id, settings, link, timers, fork, draw)
    yield* Effect.addFinalizer(() =>
      Effect.andThen(
        worker.end,
        Effect.sync(() => timers.stop())
      )
    )
    // Without it grants come with the next report: whatever is wrong with it shows there, too.
    const subscribed = client.subscribe(`${root}to:${id}`, (message) => worker.onMessage(message))
    yield* Effect.forkScoped(Effect.ignore(Effect.scoped(Effect.andThen(subscribed, Effect.never))))
    worker.start()
    return worker
  })

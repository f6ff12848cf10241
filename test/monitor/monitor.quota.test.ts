/** What the monitor tells of the quota of a pool. */
import { type ConnectionQuota, WebSocketPool } from "effect-websocket-pool"
import * as WebSocketPoolMonitor from "effect-websocket-pool/WebSocketPoolMonitor"
import * as Effect from "#effect/Effect"
import * as Stream from "#effect/Stream"
import { assert, describe, it } from "#support/vitest"
import { fetchFrom } from "#support/web"
import { poolWith, settle } from "../support/memoryPool.js"
import { A, B, hold, pools } from "../support/quotaPools.js"

interface Told {
  readonly quota?: unknown
  readonly stats: { readonly queued: number }
}

const state = (pool: WebSocketPool.WebSocketPool | ReadonlyArray<WebSocketPool.WebSocketPool>) =>
  Effect.gen(function* () {
    const response = yield* fetchFrom(WebSocketPoolMonitor.router(pool), "/state.json")
    const text = yield* Effect.promise(() => response.text())
    return { text, pools: (JSON.parse(text) as { readonly pools: ReadonlyArray<Told> }).pools }
  })

describe("monitor: the quota of a pool", () => {
  it.effect("tells of the fleet's use, of this process, and how many wait for a permit", () =>
    Effect.gen(function* () {
      const a = yield* A
      const b = yield* B
      yield* hold(A.get)
      yield* hold(B.get)
      yield* Effect.forkChild(Effect.scoped(B.get))
      yield* settle
      const told = (yield* state([a, b])).pools
      const fleet = { used: 2, limit: 2, workers: 2, waiting: 1 }
      assert.deepStrictEqual(
        told.map(({ quota, stats: { queued } }) => ({ quota, queued })),
        [0, 1].map((queued) => ({ quota: { state: "connected", held: 2, fleet }, queued }))
      )
    }).pipe(Effect.scoped, Effect.provide(pools({ quota: { connections: 2 } })))
  )

  it.effect("tells of no limit where there is none", () =>
    Effect.gen(function* () {
      yield* hold(A.get)
      const [told] = (yield* state(yield* A)).pools
      assert.deepStrictEqual(told?.quota, {
        state: "connected",
        held: 1,
        fleet: { used: 1, limit: null, workers: 2, waiting: 0 }
      })
    }).pipe(Effect.scoped, Effect.provide(pools()))
  )

  it.effect("tells nothing of one where there is none", () =>
    Effect.gen(function* () {
      const { pools, text } = yield* state(yield* WebSocketPool.WebSocketPool)
      assert.lengthOf(pools, 1)
      assert.notInclude(text, '"quota"')
    }).pipe(Effect.provide(poolWith()))
  )

  /** An engine of somebody's own, which is away, and counts what it is asked. */
  const away = (local: ConnectionQuota.ConnectionQuota["local"]) => {
    const asked = { stats: 0 }
    const quota: ConnectionQuota.ConnectionQuota = {
      stats: Effect.sync(() => {
        asked.stats += 1
        return { limit: 1, used: 0, waiting: 0, workers: 1, connects: [], state: "connected" as const, held: 0 }
      }),
      local,
      resize: () => Effect.void,
      pause: () => Effect.void,
      events: Stream.empty,
      join: () =>
        Effect.succeed({
          take: () => () => undefined,
          idle: () => undefined,
          unavailable: () => undefined,
          known: () => undefined
        })
    }
    return { asked, quota }
  }

  const lapsed = away(Effect.succeed({ held: 3, waiting: 0, state: "lapsed", granted: 9, reclaimed: 0, lapses: 1 }))

  it.effect("asks no engine: it tells how this process stands with one that is away", () =>
    Effect.gen(function* () {
      const [told] = (yield* state(yield* WebSocketPool.WebSocketPool)).pools
      assert.deepStrictEqual(told?.quota, { state: "lapsed", held: 3, fleet: null })
      assert.strictEqual(lapsed.asked.stats, 0)
    }).pipe(Effect.provide(poolWith({ quota: lapsed.quota })))
  )

  it.effect("leaves out a quota that cannot tell, and shows the pool", () =>
    Effect.gen(function* () {
      const { pools, text } = yield* state(yield* WebSocketPool.WebSocketPool)
      assert.lengthOf(pools, 1)
      assert.notInclude(text, '"quota"')
    }).pipe(Effect.provide(poolWith({ quota: away(Effect.die("broken")).quota })))
  )
})

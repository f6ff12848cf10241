/** Pools on one quota, and a server that counts what it sees. */
import { ConnectionQuota, WebSocketPool } from "effect-websocket-pool"
import type * as Config from "#effect/Config"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Layer from "#effect/Layer"
import * as Scope from "#effect/Scope"
import * as Stream from "#effect/Stream"
import { type Accept, goingOn, type Handler, listen, type Server, server, settle } from "./memoryPool.js"

export class A extends WebSocketPool.Tag("A")<A>() {}
export class B extends WebSocketPool.Tag("B")<B>() {}

export const quota = ConnectionQuota.ConnectionQuota

type PoolOptions = Partial<Omit<WebSocketPool.Options, "quota">>

interface Setup {
  readonly quota?: Partial<ConnectionQuota.QuotaOptions>
  readonly a?: PoolOptions
  readonly b?: PoolOptions
  readonly handler?: Handler
  readonly accept?: Accept
}

/** Two pools on one quota in memory. */
export const pools = ({
  a,
  accept,
  b,
  handler = listen,
  quota: limits
}: Setup = {}): Layer.Layer<A | B | Server | ConnectionQuota.ConnectionQuota, Config.ConfigError> =>
  goingOn(
    Layer.mergeAll(
      A.layer({ url: "ws://server.test", name: "a", quota, ...a }),
      B.layer({ url: "ws://server.test", name: "b", quota, ...b })
    )
  ).pipe(
    Layer.provideMerge(ConnectionQuota.layerMemory({ name: "account", ...limits })),
    Layer.provideMerge(server(handler, accept))
  )

/** A lease in a scope of its own, with what ends it; `release` lets what follows from that happen, too. */
export const hold = <E, R>(
  get: Effect.Effect<unknown, E, R | Scope.Scope>
): Effect.Effect<
  { readonly end: Effect.Effect<void>; readonly release: Effect.Effect<void> },
  E,
  Exclude<R, Scope.Scope>
> =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    yield* Scope.provide(get, scope)
    const end = Scope.close(scope, Exit.void)
    return { end, release: Effect.andThen(end, settle) }
  })

export const fleet = Effect.flatMap(quota, ({ stats }) => stats)

/** Collects the events of the quota from now on. */
export const quotaEvents: Effect.Effect<
  ReadonlyArray<ConnectionQuota.QuotaEvent>,
  never,
  ConnectionQuota.ConnectionQuota | Scope.Scope
> = Effect.gen(function* () {
  const { events } = yield* quota
  const told: Array<ConnectionQuota.QuotaEvent> = []
  yield* Effect.forkScoped(Stream.runForEach(events, (event) => Effect.sync(() => told.push(event))))
  yield* settle
  return told
})

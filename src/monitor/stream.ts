import { millisOf, streamOf } from "#dialect"
import * as Clock from "#effect/Clock"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Predicate from "#effect/Predicate"
import * as Stream from "#effect/Stream"
import type { PoolStats } from "../values/stats.js"
import { Digest } from "./digest.js"
import type { Recorded, Recorder } from "./recorder.js"
import { snapshotOf, toJson } from "./snapshot.js"
import type { History, Overview, Sample } from "./wire.js"

/** What is looked at of a request: what its server has made of it. */
interface Request {
  readonly source: unknown
}

/** What a page is told, and whether it is the last of it. */
interface Told {
  readonly message: string
  readonly isLast: boolean
}

/** How often a page gets a sample. */
const interval = Duration.millis(500)

/** When a page that has lost its stream asks for another one: soon, or seldom when the pool is closed. */
const retryMillis = 2_000
const retryClosedMillis = 10_000

/**
 * A message now and every half second, to the end of the pool, of the client or of the server. Each is made when it
 * is asked for: a client that does not read costs one digest.
 */
export const watch = (recorder: Recorder, recorded: Recorded, request: Request): Stream.Stream<string> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const { history, name, pool } = recorded
      const digest = new Digest()
      const clock = yield* Clock.clockWith(Effect.succeed)
      const now = () => millisOf(clock)
      yield* recorder.hold
      yield* pool.events.pipe(
        Stream.runForEach((event) => Effect.sync(() => digest.add(event, now()))),
        Effect.forkScoped
      )
      const sample = (past?: History): Effect.Effect<Sample<PoolStats>> =>
        Effect.map(snapshotOf(pool, name, now), (snapshot) => ({
          ...snapshot,
          ...digest.take(),
          pools: overviewOf(recorder),
          ...(past && { history: past })
        }))
      let isFirst = true
      const next = Effect.suspend(() => {
        const taken = isFirst ? Effect.suspend(() => sample(history.read())) : Effect.delay(sample(), interval)
        isFirst = false
        return Effect.map(taken, (sample): [Told] => {
          const isClosed = sample.stats.state === "closed"
          const retry = isClosed ? retryClosedMillis : retryMillis
          return [
            {
              message: `retry: ${retry}
data: ${toJson(sample)}

`,
              isLast: isClosed || isShuttingDown(request)
            }
          ]
        })
      })
      const told = streamOf(
        next,
        () => false,
        ([{ isLast }]) => isLast
      )
      return Stream.map(told, ({ message }) => message)
    })
  )

/** As of the recorder's latest moment: a page about one pool asks no other. */
const overviewOf = ({ pools }: Recorder): ReadonlyArray<Overview> =>
  pools.length === 1
    ? []
    : pools.map(({ history: { stats }, name }) => ({
        name: name ?? "",
        state: stats?.state ?? "open",
        busy: stats?.busy ?? 0,
        maxConnections: stats?.maxConnections ?? 0,
        waiting: stats?.waiting ?? 0,
        isOut: stats?.outage !== undefined
      }))

/**
 * A Node.js server that was told to close waits for the end of every response, and tells nobody. It shows in the
 * server that the request's socket came from.
 */
const isShuttingDown = ({ source }: Request): boolean =>
  Predicate.hasProperty(source, "socket") &&
  Predicate.hasProperty(source.socket, "server") &&
  Predicate.hasProperty(source.socket.server, "listening") &&
  source.socket.server.listening === false

/** The work: many fibers, each with a pause, a request, a pause, a request. */
import { Clock, Data, Effect, Random } from "effect"
import type { PoolError, WebSocketConnection, WebSocketPool } from "effect-websocket-pool"
import { isNotice, rejection } from "./server.js"
import type { Tally } from "./tally.js"

/** The server understood the request and does not want it. The connection is as good as before. */
export class Rejected extends Data.TaggedError("Rejected") {}

export interface Work {
  readonly fibers: number
  /** Milliseconds that the work goes on. */
  readonly duration: number
  /** The mean pause of a fiber in milliseconds, `progress` (0 to 1) into the work. */
  readonly pause: (progress: number) => number
  /** Milliseconds for one answer. */
  readonly timeout: number
  /** Whether everything that is neither the answer nor a notice was meant for somebody else. */
  readonly isStrict: boolean
}

let requests = 0

/** Sends a request that differs from all others, and reads until its answer comes. */
export const exchange = (
  connection: WebSocketConnection.WebSocketConnection,
  onStranger: () => void = () => {}
): Effect.Effect<void, Rejected | PoolError.ConnectionError> =>
  Effect.gen(function* () {
    requests += 1
    const request = `request ${requests}`
    yield* connection.send(request)
    while (true) {
      const answer = yield* connection.receive
      if (answer === request) return
      if (answer === rejection(request)) return yield* new Rejected()
      if (!isNotice(answer)) onStranger()
    }
  })

/** Does requests until the time is over, whatever happens to them. */
export const run = (pool: WebSocketPool.WebSocketPool, work: Work, tally: Tally): Effect.Effect<void> =>
  Effect.gen(function* () {
    const start = yield* Clock.currentTimeMillis
    const onStranger = () => {
      if (work.isStrict) tally.strangers += 1
    }

    const now = Effect.map(Clock.currentTimeNanos, (nanos) => Number(nanos) / 1e6)

    /** One request on a leased connection, timed from the moment at which a connection was wanted. */
    const request = (connection: WebSocketConnection.WebSocketConnection, since: number) =>
      exchange(connection, onStranger).pipe(
        Effect.timeout(work.timeout),
        Effect.zipRight(now),
        Effect.map((end) => tally.onAnswer(end - since))
      )

    const single = Effect.flatMap(now, (since) => pool.use((connection) => request(connection, since)))

    const onNewConnection = Effect.flatMap(now, (since) => pool.useNew((connection) => request(connection, since)))

    const conversation = Effect.gen(function* () {
      const since = yield* now
      const connection = yield* pool.get
      yield* request(connection, since)
      yield* request(connection, yield* now)
      yield* request(connection, yield* now)
    }).pipe(Effect.scoped)

    const anything = Effect.flatMap(Random.next, (dice) =>
      dice < 0.005 ? onNewConnection : dice < 0.1 ? conversation : single
    )

    /** A pause and a request, unless the time is over by then. */
    const turn = Effect.gen(function* () {
      const elapsed = (yield* Clock.currentTimeMillis) - start
      const pause = 2 * (yield* Random.next) * work.pause(elapsed / work.duration)
      if (elapsed + pause > work.duration) return false
      yield* Effect.sleep(pause)
      yield* Effect.catchAll(anything, (error) => Effect.sync(() => tally.onFailure(error._tag)))
      return true
    })

    const fiber = Effect.repeat(turn, { while: (goesOn) => goesOn })
    yield* Effect.forEach(Array.from({ length: work.fibers }), () => fiber, {
      concurrency: "unbounded",
      discard: true
    })
  })

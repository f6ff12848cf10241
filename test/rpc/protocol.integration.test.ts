/** The protocol against Effect's own server of RPC, over real sockets. */
import { type PoolError, WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketPool } from "effect-websocket-pool/node"
import * as WebSocketPoolRpc from "effect-websocket-pool/WebSocketPoolRpc"
import * as Deferred from "#effect/Deferred"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Layer from "#effect/Layer"
import * as RpcClient from "#effect/rpc/RpcClient"
import { RpcSerialization } from "#effect/rpc/RpcSerialization"
import * as Schedule from "#effect/Schedule"
import * as Stream from "#effect/Stream"
import { defectsOf, quietly } from "#support/fibers"
import { Api, causeOf, type Handlers, type Serialization, type ServeOptions, serializations, serve } from "#support/rpc"
import { assert, describe, it } from "#support/vitest"
import { Front } from "./front.js"
import type { Client } from "./support.js"

const [[, json]] = serializations as readonly [(typeof serializations)[number]]
const numbers = (length: number) => Array.from({ length }, (_, index) => index)

const doubling: Handlers["Double"] = ({ value }) => (value < 0 ? Effect.fail("negative") : Effect.succeed(2 * value))
const counting: Handlers["Count"] = ({ to }) => Stream.range(1, to)

interface World {
  readonly serialization?: Serialization
  readonly options?: WebSocketPoolRpc.Options
  readonly pool?: Partial<WebSocketPool.Options>
}

/** A client of the group at this address. */
const withClient = <A, E, R>(
  url: string,
  { options, pool, serialization = json }: World,
  f: (client: Client) => Effect.Effect<A, E, R>
) =>
  Effect.scoped(Effect.flatMap(RpcClient.make(Api), f)).pipe(
    Effect.provide(WebSocketPoolRpc.layerProtocol(options)),
    Effect.provide(Layer.succeed(RpcSerialization, serialization)),
    Effect.provide(NodeWebSocketPool.layer({ url, ...pool }))
  )

/** A client and a server of the group. */
const withServer = <A, E, R>(
  handlers: Partial<Handlers>,
  world: World & ServeOptions,
  f: (client: Client) => Effect.Effect<A, E, R>
) =>
  Effect.flatMap(
    quietly(serve(world.serialization ?? json, { Double: doubling, Count: counting, ...handlers }, world)),
    (url) => withClient(url, world, f)
  )

/** What a call has failed with, that is not the server's. */
const causeIn = (error: unknown): PoolError.PoolError =>
  causeOf(error as Parameters<typeof causeOf>[0]) as PoolError.PoolError

const oneConnection: WebSocketPoolRpc.Options = { maxConnections: 1, targetUtilization: 1 }

/** An address with nobody behind it yet, until the scope closes. */
const front = Effect.acquireRelease(
  Effect.promise(() => Front.start()),
  (front) => Effect.promise(() => front.end())
)

describe("WebSocketPoolRpc and a real server", () => {
  for (const [name, serialization] of serializations) {
    it.live(`carries calls and streams, many at once: ${name}`, () =>
      withServer({}, { serialization, options: { concurrency: 20 }, pool: { maxConnections: 4 } }, (client) =>
        Effect.gen(function* () {
          const doubles = Effect.forEach(numbers(300), (value) => client.Double({ value }), { concurrency: 100 })
          const counts = Effect.forEach(numbers(20), (n) => Stream.runCollect(client.Count({ to: 100 + n })), {
            concurrency: 10
          })
          const refused = Effect.flip(client.Double({ value: -1 }))
          const [doubled, counted, error] = yield* Effect.all([doubles, counts, refused], { concurrency: 3 })
          assert.deepStrictEqual(
            doubled,
            numbers(300).map((value) => 2 * value)
          )
          for (const [n, items] of counted.entries()) {
            assert.deepStrictEqual(
              Array.from(items),
              numbers(100 + n).map((index) => index + 1)
            )
          }
          assert.strictEqual(error, "negative")
        })
      )
    )

    it.live(`R3: a handler that dies takes nobody along: ${name}`, () =>
      Effect.gen(function* () {
        const gate = yield* Deferred.make<void>()
        const Double: Handlers["Double"] = ({ value }) =>
          value === 13 ? Effect.die(new Error("unlucky")) : Effect.as(Deferred.await(gate), value)
        yield* withServer({ Double }, { serialization, options: oneConnection }, (client) =>
          Effect.gen(function* () {
            const beside = yield* Effect.forkScoped(client.Double({ value: 1 }))
            const met = yield* Effect.forkScoped(Effect.exit(client.Double({ value: 13 })))
            // Once another connection is used it is known that this one is given up.
            yield* Deferred.succeed(gate, undefined)
            assert.strictEqual(yield* Fiber.join(beside), 1)
            const exit = yield* Fiber.join(met)
            assert.deepStrictEqual(Exit.isFailure(exit) ? defectsOf(exit.cause).map(String) : [], ["Error: unlucky"])
            assert.strictEqual(yield* client.Double({ value: 2 }), 2)
          })
        )
      })
    )
  }

  it.live("R3: with disableFatalDefects a defect is that call's own, and its connection stays", () =>
    withServer(
      { Double: ({ value }) => (value === 13 ? Effect.die("unlucky") : Effect.succeed(value)) },
      { disableFatalDefects: true, options: oneConnection },
      (client) =>
        Effect.gen(function* () {
          const pool = yield* WebSocketPool.WebSocketPool
          const exit = yield* Effect.exit(client.Double({ value: 13 }))
          assert.deepStrictEqual(Exit.isFailure(exit) ? defectsOf(exit.cause) : [], ["unlucky"])
          assert.strictEqual(yield* client.Double({ value: 2 }), 2)
          assert.deepInclude(yield* pool.stats, { opened: 1 })
        })
    )
  )

  it.live("R4: a slow stream holds back neither calls nor other streams, and its server waits", () =>
    Effect.gen(function* () {
      let made = 0
      const Count: Handlers["Count"] = ({ to }) =>
        to > 1000
          ? Stream.rechunk(
              Stream.tap(Stream.range(1, to), () => Effect.sync(() => (made += 1))),
              1
            )
          : Stream.range(1, to)
      yield* withServer({ Count }, { options: oneConnection }, (client) =>
        Effect.gen(function* () {
          const first = yield* Deferred.make<void>()
          const slow = yield* Effect.forkScoped(
            Stream.runForEach(client.Count({ to: 10_000 }, { streamBufferSize: 4 }), () =>
              Effect.andThen(Deferred.succeed(first, undefined), Effect.never)
            )
          )
          yield* Deferred.await(first)
          for (const value of numbers(50)) assert.strictEqual(yield* client.Double({ value }), 2 * value)
          const quick = yield* Stream.runCollect(client.Count({ to: 500 }))
          assert.strictEqual(Array.from(quick).length, 500)
          assert.isBelow(made, 100)
          yield* Fiber.interrupt(slow)
        })
      )
    })
  )

  it.live("R5: interrupted calls and streams that end early interrupt their handlers", () =>
    Effect.gen(function* () {
      const started = yield* Deferred.make<void>()
      const ended = { call: yield* Deferred.make<void>(), stream: yield* Deferred.make<void>() }
      yield* withServer(
        {
          Double: () =>
            Effect.onInterrupt(Effect.andThen(Deferred.succeed(started, undefined), Effect.never), () =>
              Effect.asVoid(Deferred.succeed(ended.call, undefined))
            ),
          Count: ({ to }) =>
            Stream.ensuring(
              Stream.concat(Stream.range(1, to), Stream.never),
              Effect.asVoid(Deferred.succeed(ended.stream, undefined))
            )
        },
        { options: oneConnection },
        (client) =>
          Effect.gen(function* () {
            const call = yield* Effect.forkScoped(client.Double({ value: 1 }))
            yield* Deferred.await(started)
            yield* Fiber.interrupt(call)
            yield* Deferred.await(ended.call)
            assert.deepStrictEqual(
              Array.from(yield* Stream.runCollect(Stream.take(client.Count({ to: 9 }), 3))),
              [1, 2, 3]
            )
            yield* Deferred.await(ended.stream)
          })
      )
    })
  )

  it.live("R8: refresh and connectionTTL fail no call that goes on", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      yield* withServer(
        { Double: ({ value }) => (value === 0 ? Effect.as(Deferred.await(gate), 0) : Effect.succeed(2 * value)) },
        { pool: { maxConnections: 3 } },
        (client) =>
          Effect.gen(function* () {
            const pool = yield* WebSocketPool.WebSocketPool
            const long = yield* Effect.forkScoped(client.Double({ value: 0 }))
            for (const value of numbers(20).slice(1)) {
              if (value % 5 === 0) yield* pool.refresh
              assert.strictEqual(yield* client.Double({ value }), 2 * value)
            }
            yield* Deferred.succeed(gate, undefined)
            assert.strictEqual(yield* Fiber.join(long), 0)
          })
      )
    })
  )

  it.live("R9: a discarded call returns", () =>
    Effect.gen(function* () {
      const handled = yield* Deferred.make<number>()
      const Double: Handlers["Double"] = ({ value }) => Effect.as(Deferred.succeed(handled, value), value)
      yield* withServer({ Double }, {}, (client) =>
        Effect.gen(function* () {
          assert.isUndefined(yield* client.Double({ value: 5 }, { discard: true }))
          assert.strictEqual(yield* Deferred.await(handled), 5)
        })
      )
    })
  )
})

describe("WebSocketPoolRpc and processes", () => {
  it.live("reaches four workers behind one address, each call over one of them", () =>
    Effect.gen(function* () {
      const address = yield* front
      yield* Effect.promise(() => Promise.all([1, 2, 3, 4].map(() => address.add())))
      const options = { concurrency: 8, targetUtilization: 0.25, maxConnections: 8 }
      yield* withClient(address.url, { options }, (client) =>
        Effect.gen(function* () {
          const pids = new Set<number>()
          // The first rounds may end before all connections are open.
          for (let round = 0; round < 50 && pids.size < 4; round++) {
            const seen = yield* Effect.forEach(numbers(16), () => client.Double({ value: 20 }), { concurrency: 16 })
            for (const pid of seen) pids.add(pid)
          }
          assert.strictEqual(pids.size, 4)
        })
      )
    })
  )

  it.live("R2: a server that is killed fails its calls and streams, typed, and its successor gets the next", () =>
    Effect.gen(function* () {
      const address = yield* front
      yield* Effect.promise(() => address.add())
      yield* withClient(address.url, { pool: { acquireTimeout: "20 seconds" } }, (client) =>
        Effect.gen(function* () {
          const items: Array<number> = []
          const three = yield* Deferred.make<void>()
          const call = yield* Effect.forkScoped(Effect.flip(client.Double({ value: 60_000 })))
          const stream = yield* Effect.forkScoped(
            Effect.flip(
              Stream.runForEach(client.Count({ to: 3 }), (item) => {
                items.push(item)
                return item === 3 ? Deferred.succeed(three, undefined) : Effect.void
              })
            )
          )
          yield* Deferred.await(three)
          yield* Effect.promise(() => address.kill())
          for (const error of [yield* Fiber.join(call), yield* Fiber.join(stream)]) {
            assert.propertyVal(error, "_tag", "RpcClientError")
            assert.propertyVal(causeIn(error), "_tag", "ConnectionClosedError")
          }
          assert.deepStrictEqual(items, [1, 2, 3])

          const next = yield* Effect.forkScoped(
            Effect.retry(client.Double({ value: 1 }), { schedule: Schedule.spaced(100), times: 100 })
          )
          yield* Effect.promise(() => address.add())
          assert.isAbove(yield* Fiber.join(next), 0)
        })
      )
    })
  )
})

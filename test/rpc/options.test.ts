import { readFileSync } from "node:fs"
import { Multiplexer, WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
import * as WebSocketPoolRpc from "effect-websocket-pool/WebSocketPoolRpc"
import type * as Config from "#effect/Config"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Layer from "#effect/Layer"
import * as RpcClient from "#effect/rpc/RpcClient"
import { RpcSerialization } from "#effect/rpc/RpcSerialization"
import * as Scope from "#effect/Scope"
import * as Stream from "#effect/Stream"
import * as TestClock from "#effect/testing/TestClock"
import { isConfigError } from "#support/configErrors"
import { Api, causeOf, serializations } from "#support/rpc"
import { assert, describe, expectTypeOf, it } from "#support/vitest"
import { notYet, now, settle, url } from "../support/memoryPool.js"
import { oneConnection, scenario, start } from "./support.js"

class Speech extends WebSocketPool.Tag("Speech")<Speech>() {}

const [[, json]] = serializations as readonly [(typeof serializations)[number]]

const errorOf = (options: object) =>
  Effect.flip(
    Effect.scoped(WebSocketPoolRpc.makeProtocol(options)).pipe(
      Effect.provide(Layer.succeed(RpcSerialization, json)),
      Effect.provide(WebSocketPool.layer({ url })),
      Effect.provide(WebSocketTransport.layerMemory(() => Effect.never))
    )
  )

describe("WebSocketPoolRpc", () => {
  it("has the types that the contract names", () => {
    expectTypeOf(WebSocketPoolRpc.layerProtocol()).toEqualTypeOf<
      Layer.Layer<RpcClient.Protocol, Config.ConfigError, WebSocketPool.WebSocketPool | RpcSerialization>
    >()
    expectTypeOf(WebSocketPoolRpc.layerProtocol({ pool: Speech })).toEqualTypeOf<
      Layer.Layer<RpcClient.Protocol, Config.ConfigError, Speech | RpcSerialization>
    >()
    expectTypeOf(WebSocketPoolRpc.makeProtocol({ pool: Speech })).toExtend<
      Effect.Effect<unknown, Config.ConfigError, Speech | RpcSerialization | Scope.Scope>
    >()
  })

  it.effect("names every bad option, and those that it has not", () =>
    Effect.gen(function* () {
      const error = yield* errorOf({
        concurrency: 0,
        targetUtilization: 2,
        minConnections: 3,
        maxConnections: 2,
        idleTimeout: -1,
        retireTimeout: "soon",
        bufferSize: 1,
        overflow: "slide",
        onNotice: () => Effect.void,
        codec: () => undefined
      })
      assert.isTrue(isConfigError(error))
      for (const name of [
        "WebSocketPoolRpc",
        "concurrency",
        "targetUtilization",
        "minConnections",
        "idleTimeout",
        "retireTimeout",
        "bufferSize",
        "overflow",
        "onNotice",
        "codec"
      ]) {
        assert.include(String(error), name)
      }
    })
  )

  it.effect("has an object of options, or none", () =>
    Effect.map(errorOf(null as never), (error) => assert.isTrue(isConfigError(error)))
  )

  it.effect("idleTimeout and minConnections say how many connections stay leased", () =>
    scenario(
      { options: { concurrency: 1, targetUtilization: 1, minConnections: 1, idleTimeout: "5 seconds" } },
      ({ client, pool, server }) =>
        Effect.gen(function* () {
          const calls = yield* start(
            Effect.all([client.Double({ value: 1 }), client.Double({ value: 2 })], { concurrency: 2 })
          )
          yield* server(0).exit(1, Exit.succeed(2))
          yield* server(1).exit(1, Exit.succeed(4))
          assert.deepStrictEqual(yield* now(calls), [2, 4])
          yield* TestClock.adjust("4999 millis")
          assert.deepInclude(yield* pool.stats, { busy: 2 })
          yield* TestClock.adjust("1 millis")
          assert.deepInclude(yield* pool.stats, { busy: 1, idle: 1 })
        })
    )
  )

  it.effect("serves several clients, each with its own calls, until they end", () =>
    scenario({ options: oneConnection() }, ({ client, server }) =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const second = yield* RpcClient.make(Api).pipe(Effect.provideService(Scope.Scope, scope))
        yield* settle
        const first = yield* start(client.Double({ value: 1 }))
        const other = yield* start(Effect.exit(second.Double({ value: 2 })))
        const stream = yield* start(Effect.exit(Stream.runDrain(second.Count({ to: 2 }))))
        yield* server(0).chunk(3, 1)
        // Its handlers are told that nobody waits.
        yield* Scope.close(scope, Exit.void)
        yield* settle
        assert.isTrue(Exit.isFailure(yield* now(other)))
        assert.isTrue(Exit.isFailure(yield* now(stream)))
        assert.sameMembers(
          [...server(0).log],
          ["Double 1", "Double 2", "Count 3", "Ack 3", "Interrupt 2", "Interrupt 3"]
        )
        notYet(first)
        yield* server(0).exit(1, Exit.succeed(2))
        assert.strictEqual(yield* now(first), 2)
      })
    )
  )

  it.effect("answers PoolClosedError once the pool is closing", () =>
    scenario({ options: oneConnection(), pool: { shutdownTimeout: "5 seconds" } }, ({ client, pool, server }) =>
      Effect.gen(function* () {
        const call = yield* start(client.Double({ value: 1 }))
        const closing = yield* Effect.forkChild(pool.close)
        yield* settle
        const error = yield* Effect.flip(client.Double({ value: 2 }))
        assert.propertyVal(typeof error === "object" ? causeOf(error) : error, "_tag", "PoolClosedError")
        yield* server(0).exit(1, Exit.succeed(2))
        assert.strictEqual(yield* now(call), 2)
        yield* Fiber.join(closing)
      })
    )
  )

  it.effect("an id or a message of another kind is dropped", () =>
    scenario({ options: oneConnection() }, ({ client, server }) =>
      Effect.gen(function* () {
        const call = yield* start(client.Double({ value: 1 }))
        const { socket } = server(0)
        socket.message(JSON.stringify({ _tag: "Exit", requestId: "x", exit: {} }))
        socket.message(JSON.stringify({ _tag: "News" }))
        yield* server(0).exit(7, Exit.succeed(1))
        notYet(call)
        yield* server(0).exit(1, Exit.succeed(2))
        assert.strictEqual(yield* now(call), 2)
      })
    )
  )
})

describe("the main entry", () => {
  it("loads nothing of RPC", () => {
    const seen = new Set<string>()
    const visit = (file: URL): void => {
      if (seen.has(file.href)) return
      seen.add(file.href)
      for (const [, specifier] of readFileSync(file, "utf8").matchAll(/from "([^"]+)"/g)) {
        assert.notMatch(specifier!, /^#(effect|edition)\/rpc\/|^@?effect\/rpc/)
        if (specifier!.startsWith(".")) visit(new URL(specifier!.replace(/\.js$/, ".ts"), file))
      }
    }
    visit(new URL("../../src/index.ts", import.meta.url))
    assert.isAbove(seen.size, 50)
    assert.isDefined(Multiplexer.make)
  })
})

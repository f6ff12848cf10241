import { runInNewContext } from "node:vm"
import { WebSocketConnection, WebSocketPool } from "effect-websocket-pool"
import * as Cause from "#effect/Cause"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Schema from "#effect/Schema"
import { assert, describe, it } from "#support/vitest"
import { echo, peers, poolWith, settle } from "../support/memoryPool.js"

const defectOf = <A, E>(exit: Exit.Exit<A, E>): unknown => {
  assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
  return Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
}

// An object destroyed the socket and blamed nobody; undefined was a TypeError of an inner line.

describe("what is neither a string nor a Uint8Array", () => {
  for (const [what, value, advice] of [
    ["an object", { a: 1 }, "got an object: encode it first, as JSON.stringify does"],
    ["undefined", undefined, "got undefined: encode it first"],
    ["null", null, "got null: encode it first"],
    ["a number", 5, "got a number: encode it first"],
    ["an array", ["a"], "got an array: encode it first"],
    ["an effect", Effect.succeed("a"), "got an Effect"],
    ["an ArrayBuffer", new ArrayBuffer(4), "wrap it, as in new Uint8Array(buffer)"],
    ["a DataView", new DataView(new ArrayBuffer(4)), "wrap it, as in new Uint8Array(view.buffer"],
    ["another typed array", new Uint16Array(4), "wrap it, as in new Uint8Array(view.buffer"],
    ["a Blob", new Blob(["a"]), "new Uint8Array(await blob.arrayBuffer())"]
  ] as const) {
    it.effect(`${what} is a TypeError that says what to do, and the connection goes on`, () =>
      Effect.gen(function* () {
        yield* WebSocketPool.use((connection) =>
          Effect.gen(function* () {
            const defect = defectOf(yield* Effect.exit(connection.send(value as never)))
            assert.instanceOf(defect, TypeError)
            assert.include(String(defect), "send takes a string or a Uint8Array")
            assert.include(String(defect), advice)
            yield* connection.send("hello")
            assert.strictEqual(yield* connection.receive, "hello")
            assert.deepInclude(yield* connection.info, { state: "busy", messagesSent: 1, bytesSent: 5 })
          })
        )
        yield* settle
        assert.deepStrictEqual((yield* peers)[0]?.received, ["hello"])
        const { closed, idle } = yield* WebSocketPool.stats
        assert.deepStrictEqual({ closed, idle }, { closed: 0, idle: 1 })
      }).pipe(Effect.provide(poolWith({}, echo)))
    )
  }

  it.effect("is one through request, a typed view and toSocket, too", () =>
    Effect.gen(function* () {
      const connection = yield* WebSocketPool.get
      const socket = WebSocketConnection.toSocket(connection)
      const typed = WebSocketConnection.schemaMessage(connection, { send: Schema.Any, receive: Schema.Any })
      const writer: unknown = yield* socket.writer
      const write = (typeof writer === "function" ? writer : (writer as { readonly write: unknown }).write) as (
        message: never
      ) => Effect.Effect<unknown, unknown>
      for (const sending of [
        WebSocketConnection.request(connection, { a: 1 } as never),
        typed.send({ a: 1 }),
        write({ a: 1 } as never)
      ] as ReadonlyArray<Effect.Effect<unknown, unknown>>) {
        assert.instanceOf(defectOf(yield* Effect.exit(sending)), TypeError)
      }
      yield* connection.send("hello")
      assert.strictEqual(yield* connection.receive, "hello")
    }).pipe(Effect.scoped, Effect.provide(poolWith({}, echo)))
  )
})

describe("a Uint8Array", () => {
  for (const [what, bytes] of [
    ["a Buffer", Buffer.from([1, 2, 3])],
    ["one of another realm", runInNewContext("new Uint8Array([1, 2, 3])")],
    ["a part of a larger buffer", new Uint8Array([0, 1, 2, 3, 4]).subarray(1, 4)]
  ] as const) {
    it.effect(`may be ${what}`, () =>
      Effect.gen(function* () {
        const connection = yield* WebSocketPool.get
        yield* connection.send(bytes)
        assert.deepStrictEqual(yield* connection.receive, new Uint8Array([1, 2, 3]))
      }).pipe(Effect.scoped, Effect.provide(poolWith({}, echo)))
    )
  }
})

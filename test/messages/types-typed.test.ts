import { type PoolError, WebSocketConnection, WebSocketPool, type WebSocketTransport } from "effect-websocket-pool"
import { NodeWebSocketPool } from "effect-websocket-pool/node"
import * as Config from "#effect/Config"
import * as Context from "#effect/Context"
import type * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import { pipe } from "#effect/Function"
import type * as Layer from "#effect/Layer"
import * as LayerMap from "#effect/LayerMap"
import * as Schema from "#effect/Schema"
import type * as Stream from "#effect/Stream"
import { layerOf, type NonEmpty, needing as needs, type ParseError, Point, Words } from "#support/types"
import { describe, expectTypeOf, it } from "#support/vitest"

class A extends Context.Service<A, "a">()("A") {}
class B extends Context.Service<B, "b">()("B") {}

type Connection = WebSocketConnection.WebSocketConnection
type Failure = PoolError.ConnectionClosedError | PoolError.ConnectionBusyError | ParseError

declare const connection: Connection

/** Types alone: none of this is run. */
const never = (_: () => unknown): void => {}

describe("schema", () => {
  it("makes a connection of values, with a ParseError besides the errors of connections", () =>
    never(() => {
      const typed = WebSocketConnection.schema(connection, { send: Schema.Date, receive: Schema.NumberFromString })
      expectTypeOf(typed).toEqualTypeOf<WebSocketConnection.TypedConnection<Date, number>>()
      expectTypeOf(typed.send).toEqualTypeOf<(value: Date) => Effect.Effect<void, Failure>>()
      expectTypeOf(typed.receive).toEqualTypeOf<Effect.Effect<number, Failure>>()
      expectTypeOf(typed.receiveChunk).toEqualTypeOf<Effect.Effect<NonEmpty<number>, Failure>>()
      expectTypeOf(typed.messages).toEqualTypeOf<Stream.Stream<number, Failure>>()
      expectTypeOf(typed.ping).toEqualTypeOf<Effect.Effect<Duration.Duration, PoolError.ConnectionError>>()
      expectTypeOf(typed.info).toEqualTypeOf<Effect.Effect<WebSocketConnection.ConnectionInfo>>()
      expectTypeOf(typed.discard).toEqualTypeOf<Effect.Effect<void>>()
      expectTypeOf(typed.close).toEqualTypeOf<(code?: number, reason?: string) => Effect.Effect<void>>()
      expectTypeOf(typed.id).toEqualTypeOf<string>()
      expectTypeOf(typed.protocol).toEqualTypeOf<string>()
      expectTypeOf(typed.untyped).toEqualTypeOf<Connection>()
    }))

  it("requires what its schemas do, each where it is used", () =>
    never(() => {
      const typed = WebSocketConnection.schema(connection, { send: needs(A), receive: needs(B) })
      expectTypeOf(typed.send).toEqualTypeOf<(value: number) => Effect.Effect<void, Failure, A>>()
      expectTypeOf(typed.receive).toEqualTypeOf<Effect.Effect<number, Failure, B>>()
      expectTypeOf(typed.receiveChunk).toEqualTypeOf<Effect.Effect<NonEmpty<number>, Failure, B>>()
      expectTypeOf(typed.messages).toEqualTypeOf<Stream.Stream<number, Failure, B>>()
      expectTypeOf(WebSocketConnection.request(typed, 1)).toEqualTypeOf<
        Effect.Effect<NonEmpty<number>, Failure, A | B>
      >()
    }))

  it("has a form for pipes", () =>
    never(() => {
      const schemas = { send: needs(A), receive: Schema.Number }
      expectTypeOf(pipe(connection, WebSocketConnection.schema(schemas))).toEqualTypeOf<
        WebSocketConnection.TypedConnection<number, number, A>
      >()
    }))
})

describe("schemaMessage", () => {
  it("takes schemas that encode to messages", () =>
    never(() => {
      const schemas = { send: Point, receive: Words }
      type Typed = WebSocketConnection.TypedConnection<{ readonly x: number; readonly at: Date }, ReadonlyArray<string>>
      expectTypeOf(WebSocketConnection.schemaMessage(connection, schemas)).toExtend<Typed>()
      expectTypeOf(pipe(connection, WebSocketConnection.schemaMessage(schemas))).toExtend<Typed>()
    }))

  it("takes no others", () =>
    never(() => {
      // @ts-expect-error: it encodes to an object.
      WebSocketConnection.schemaMessage(connection, { send: Schema.Struct({}), receive: Schema.String })
      // @ts-expect-error: it decodes numbers.
      WebSocketConnection.schemaMessage(connection, { send: Schema.String, receive: Schema.Number })
    }))
})

describe("request", () => {
  const typed = (): WebSocketConnection.TypedConnection<{ readonly _tag: "Ask" }, { readonly last: boolean }, A, B> =>
    WebSocketConnection.schema(connection, null as never)

  it("gives messages of the connection", () =>
    never(() => {
      const expected =
        expectTypeOf<Effect.Effect<NonEmpty<WebSocketTransport.Message>, PoolError.ConnectionError | ParseError>>()
      expected.toEqualTypeOf(WebSocketConnection.request(connection, "go"))
      expected.toEqualTypeOf(
        WebSocketConnection.request(connection, Uint8Array.of(1), {
          until: (message) => {
            expectTypeOf(message).toEqualTypeOf<WebSocketTransport.Message>()
            return true
          }
        })
      )
      expected.toEqualTypeOf(pipe(connection, WebSocketConnection.request("go")))
      expected.toEqualTypeOf(
        pipe(
          connection,
          WebSocketConnection.request("go", { until: (message: WebSocketTransport.Message) => message === "" })
        )
      )
    }))

  it("takes and gives values of a typed connection", () =>
    never(() => {
      const expected = expectTypeOf<Effect.Effect<NonEmpty<{ readonly last: boolean }>, Failure, A | B>>()
      expected.toEqualTypeOf(WebSocketConnection.request(typed(), { _tag: "Ask" }))
      expected.toEqualTypeOf(WebSocketConnection.request(typed(), { _tag: "Ask" }, { until: ({ last }) => last }))
      expected.toEqualTypeOf(pipe(typed(), WebSocketConnection.request({ _tag: "Ask" })))
      expected.toEqualTypeOf(
        pipe(
          typed(),
          WebSocketConnection.request({ _tag: "Ask" }, { until: ({ last }: { readonly last: boolean }) => last })
        )
      )
    }))

  it("takes no other messages", () =>
    never(() => {
      // @ts-expect-error: a connection sends text and bytes.
      WebSocketConnection.request(connection, { _tag: "Ask" })
      // @ts-expect-error: it asks differently.
      WebSocketConnection.request(typed(), { _tag: "Tell" })
      // @ts-expect-error: there is no such field.
      WebSocketConnection.request(typed(), { _tag: "Ask" }, { until: ({ first }) => first })
      // @ts-expect-error: it asks differently.
      pipe(typed(), WebSocketConnection.request({ _tag: "Tell" }))
    }))
})

describe("a pool in a LayerMap", () => {
  class Tts extends WebSocketPool.Tag("Tts")<Tts>() {}
  class Plain extends LayerMap.Service<Plain>()("Plain", {
    lookup: (key: string) => WebSocketPool.layer({ url: key })
  }) {}
  class OnNode extends LayerMap.Service<OnNode>()("OnNode", {
    lookup: (key: string) => NodeWebSocketPool.layer({ url: key })
  }) {}
  class Tagged extends LayerMap.Service<Tagged>()("Tagged", {
    lookup: (key: string) => Tts.layerConfig({ url: Config.String(key) })
  }) {}
  class Needing extends LayerMap.Service<Needing>()("Needing", {
    lookup: (key: string) => WebSocketPool.layer({ url: Effect.map(A, (a) => `ws://${key}/${a}`) })
  }) {}

  it("requires what the pool does: LayerMap.Service takes layers of any kind, and that any must not be inferred", () => {
    type Transport = WebSocketTransport.WebSocketTransport
    expectTypeOf(layerOf(Plain)).toEqualTypeOf<Layer.Layer<Plain, never, Transport>>()
    expectTypeOf(layerOf(OnNode)).toEqualTypeOf<Layer.Layer<OnNode>>()
    expectTypeOf(layerOf(Tagged)).toEqualTypeOf<Layer.Layer<Tagged, never, Transport>>()
    expectTypeOf(layerOf(Needing)).toEqualTypeOf<Layer.Layer<Needing, never, Transport | A>>()
    expectTypeOf(Tagged.get("key")).toEqualTypeOf<Layer.Layer<Tts, Config.ConfigError, Tagged>>()
  })
})

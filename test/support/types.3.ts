/** Types that have another shape in each edition, and schemas that are made in another way, for Effect 3. */
import { MsgPack } from "@effect/platform"
import type * as PlatformSocket from "@effect/platform/Socket"
import type * as Chunk from "effect/Chunk"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"

export type ErrorOf<T extends Effect.Effect<unknown, unknown, unknown>> = Effect.Effect.Error<T>
export type NonEmpty<A> = Chunk.NonEmptyChunk<A>
export type ParseError = ParseResult.ParseError
export type Socket = PlatformSocket.Socket

/** A schema that needs a service. */
export const needing = <S, V>(tag: Context.Tag<S, V>) =>
  Schema.transformOrFail(Schema.String, Schema.Number, {
    decode: () => Effect.as(tag, 1),
    encode: () => Effect.as(tag, "1")
  })

/** Schemas that encode to messages. */
export const Point = MsgPack.schema(Schema.Struct({ x: Schema.Number, at: Schema.Date }))
export const Words = Schema.split(",")

/** The layer of a `LayerMap.Service`. */
export const layerOf = <Self, E, R>(map: { readonly Default: Layer.Layer<Self, E, R> }): Layer.Layer<Self, E, R> =>
  map.Default

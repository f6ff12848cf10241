import type * as RpcClient from "@effect/rpc/RpcClient"
import { RpcClientError } from "@effect/rpc/RpcClientError"
import type { Parser, RpcSerialization } from "@effect/rpc/RpcSerialization"
import * as Effect from "effect/Effect"
import type { RuntimeFiber } from "effect/Fiber"
import * as Schema from "effect/Schema"
import { hasEnded, turn, withFiber } from "#dialect"
import type { Exchange, Failures } from "./exchange.js"

/** What a client of RPC stands on. */
export type Service = RpcClient.Protocol["Type"]

type Serialization = RpcSerialization["Type"]

export const parserOf = (serialization: Serialization): Parser => serialization.unsafeMake()

export const failuresOf = (_: Serialization): Failures => ({
  defectOf: Schema.decodeUnknownSync(Schema.Defect),
  errorOf: (cause) => new RpcClientError({ reason: "Protocol", message: cause.message, cause })
})

/** Clients have no ids here: an answer is told to all of them, and they know their calls by process-wide ids. */
const everybody = 0

/** Turns that a fiber may take from a failure to its end. */
const mostTurns = 8

const untilEnded = (fiber: RuntimeFiber<unknown, unknown>, turns = mostTurns): Effect.Effect<void> =>
  Effect.suspend(() =>
    turns === 0 || hasEnded(fiber) ? Effect.void : Effect.zipRight(turn, untilEnded(fiber, turns - 1))
  )

const interrupted = { _tag: "Failure", cause: { _tag: "Interrupt", fiberId: { _tag: "None" } } } as const

/**
 * A client remembers a call whose `send` has failed, and an exit that cannot hold that failure makes it forget. It must not
 * come before the failure: so it waits until the fiber has ended, unless that is the caller's own, who discards the result.
 */
const forgetLater = (exchange: Exchange, requestId: string): Effect.Effect<void> =>
  withFiber((fiber) =>
    Effect.sync(() => {
      exchange.fork(
        Effect.zipRight(untilEnded(fiber), exchange.tell(everybody, { _tag: "Exit", requestId, exit: interrupted })),
        { immediate: false }
      )
    })
  )

export const serviceOf = (exchange: Exchange, _: Serialization): Service => ({
  run: (write) => exchange.run(everybody, write),
  send: (message) => {
    const sent = exchange.send(everybody, message)
    return message._tag === "Request" ? Effect.onError(sent, () => forgetLater(exchange, message.id)) : sent
  },
  supportsAck: true,
  supportsTransferables: false
})

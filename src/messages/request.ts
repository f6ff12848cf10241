import { type NonEmpty, nonEmpty } from "#dialect"
import { thrown } from "#edition/messages/parseFailure"
import { isSchemaError } from "#edition/messages/schema"
import * as Effect from "#effect/Effect"
import * as Predicate from "#effect/Predicate"
import type * as Schema from "#effect/Schema"
import { ConnectionBusyError } from "../values/errors.js"
import type { Exchange, RequestOptions } from "./views.js"

/** The leases on which a request is under way. */
const busy = new WeakSet<object>()

/** Tells a connection from a message. */
export const isExchange = (u: unknown): boolean =>
  Predicate.hasProperty(u, "send") && Predicate.isFunction(u.send) && Predicate.hasProperty(u, "receive")

type Answer<A, E, R> = Effect.Effect<NonEmpty<A>, E | ConnectionBusyError | Schema.SchemaError, R>

export const request = <Send, Receive, ESend, EReceive, RSend, RReceive>(
  self: Exchange<Send, Receive, ESend, EReceive, RSend, RReceive>,
  message: Send,
  { until = () => true }: RequestOptions<Receive> = {}
): Answer<Receive, ESend | EReceive, RSend | RReceive> =>
  Effect.uninterruptibleMask((restore): Answer<Receive, ESend | EReceive, RSend | RReceive> => {
    // Two at once would take each other's answers. All typed views of a lease are that lease.
    const lease = self.untyped ?? self
    if (busy.has(lease)) return Effect.fail(new ConnectionBusyError({ connectionId: self.id, reason: "Receiving" }))
    busy.add(lease)

    const received: Array<Receive> = []
    const collect: Effect.Effect<void, EReceive | Schema.SchemaError, RReceive> = Effect.flatMap(
      self.receive,
      (message) => {
        received.push(message)
        try {
          return until(message) ? Effect.void : collect
        } catch (error) {
          return Effect.fail(thrown("until, given", message, error))
        }
      }
    )

    /** Whether the server may have got the message, and may go on answering. */
    let isUnderWay = false
    const exchange = Effect.suspend(() => {
      isUnderWay = true
      return Effect.matchEffect(self.send(message), {
        onFailure: (error) => {
          // What could not be encoded was not sent.
          if (isSchemaError(error)) isUnderWay = false
          return Effect.fail(error)
        },
        onSuccess: () => collect
      })
    })

    return Effect.matchCauseEffect(restore(exchange), {
      onFailure: (cause) => {
        busy.delete(lease)
        return isUnderWay ? Effect.andThen(self.discard, Effect.failCause(cause)) : Effect.failCause(cause)
      },
      onSuccess: () => {
        busy.delete(lease)
        // Not empty: it ends with the message for which `until` held.
        return Effect.succeed(nonEmpty(received as [Receive, ...Array<Receive>]))
      }
    })
  })

import { disconnect, environment, type Fork } from "#dialect"
import * as Cause from "#effect/Cause"
import type * as Context from "#effect/Context"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Layer from "#effect/Layer"
import * as Option from "#effect/Option"
import type * as Scope from "#effect/Scope"
import { TransportError } from "../error.js"
import { mayWait } from "../retryAfter.js"
import type { ConnectRequest, SocketEvents, TransportSocket, WebSocketTransport } from "../seam.js"
import type { MemoryHandshake, MemoryPeer, MemoryRefusal } from "./peer.js"
import * as memorySocket from "./socket.js"

type Handler<E, R> = (peer: MemoryPeer) => Effect.Effect<unknown, E, R>

interface Options {
  readonly accept?: ((handshake: MemoryHandshake) => Effect.Effect<unknown, number | MemoryRefusal>) | undefined
}

/** A plain record for reading: iterating it shows each field once, in lower case, as Node's `http` does. */
const peerHeaders = (headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> => {
  const entries = Object.entries(headers)
  const lowerCase = Object.fromEntries(entries.map(([name, value]) => [name.toLowerCase(), value]))
  for (const [name, value] of entries) {
    if (name !== name.toLowerCase()) {
      Object.defineProperty(lowerCase, name, { value, enumerable: false })
    }
  }
  return lowerCase
}

const refused = (given: number | MemoryRefusal): TransportError => {
  const { retryAfter, status }: MemoryRefusal = typeof given === "number" ? { status: given } : given
  const isAsked = retryAfter !== undefined && mayWait(status)
  return new TransportError({
    reason: "Handshake",
    status,
    retryAfter: isAsked ? Option.getOrUndefined(Duration.fromInput(retryAfter)) : undefined,
    cause: new Error("the in-memory server's accept refused it")
  })
}

const handshake = (
  accept: (handshake: MemoryHandshake) => Effect.Effect<unknown, number | MemoryRefusal>,
  asked: MemoryHandshake
): Effect.Effect<unknown, TransportError> =>
  Effect.suspend(() => accept(asked)).pipe(
    Effect.catchCause((cause) => Effect.fail(refused(Option.getOrElse(Cause.findErrorOption(cause), () => 500)))),
    // A client that gives up does not wait for the server, interruptible or not.
    Effect.interruptible,
    disconnect
  )

const make = <E, R>(
  fork: Fork<Exclude<R, Scope.Scope>>,
  handler: Handler<E, R>,
  { accept }: Options
): Effect.Effect<WebSocketTransport, never, Scope.Scope> =>
  Effect.gen(function* () {
    const handlers = new Map<Fiber.Fiber<unknown, unknown>, TransportSocket>()
    let connections = 0
    // A transport has no life of its own: a pool may outlive the layer it was made with, and still connects. So
    // only the handlers end with the layer whose connection is over, and that might go on for ever.
    yield* Effect.addFinalizer(() =>
      Fiber.interruptAll(Array.from(handlers.keys()).filter((handler) => !handlers.get(handler)!.isOpen))
    )

    // Not immediate: what a new fiber does must not happen inside of the call that starts it.
    const later = (task: () => void): void => {
      fork(Effect.sync(task), { immediate: false })
    }

    const open = (request: ConnectRequest, events: SocketEvents, headers: Readonly<Record<string, string>>) => {
      connections += 1
      const socket = memorySocket.make(`memory-${connections}`, request, events, later)
      events.onOpen(socket)
      const peer = memorySocket.peer(socket, request.url, headers)
      const serving = fork(Effect.scoped(Effect.suspend(() => handler(peer))), { immediate: false })
      // An observer rather than a finalizer: it also sees the end of a fiber that was interrupted before its start.
      handlers.set(serving, socket)
      serving.addObserver((exit) => {
        handlers.delete(serving)
        socket.peerClose(Exit.isSuccess(exit) ? 1000 : 1011, "")
      })
    }

    return {
      connect: (request, events) =>
        Effect.suspend(() => {
          const headers = peerHeaders(request.headers)
          const { protocols, url } = request
          const accepted = accept === undefined ? Effect.void : handshake(accept, { url, headers, protocols })
          // Opening is the last step, and one step: an interruption comes before it, or finds the socket with
          // the caller.
          return Effect.flatMap(accepted, () => Effect.sync(() => open(request, events, headers)))
        })
    }
  })

export const layer =
  (tag: Context.Key<WebSocketTransport, WebSocketTransport>) =>
  <E, R>(
    handler: Handler<E, R>,
    options: Options = {}
  ): Layer.Layer<WebSocketTransport, never, Exclude<R, Scope.Scope>> =>
    Layer.unwrap(
      Effect.map(
        // The layer may be built where nothing can be interrupted. Its handlers can be all the same: it could not be closed
        // otherwise.
        environment<Exclude<R, Scope.Scope>>({ isInterruptible: true }),
        ({ fork }) => Layer.effect(tag, make(fork, handler, options))
      )
    )

import type { TransportError } from "effect-websocket-pool/WebSocketTransport"
import * as Cause from "#effect/Cause"
import * as Deferred from "#effect/Deferred"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import type * as Scope from "#effect/Scope"
import { interruptNow } from "#support/fibers"
import { assert, describe, it } from "#support/vitest"
import { httpAnswer, type Listening, tcpServer, wsServer } from "../../fixtures/servers.js"
import { ownFrames } from "../../support/ownFrames.js"
import { connect, ended, local, type Options, recorder, request, transportOf, turns, until } from "./support.js"

describe(`NodeWebSocketTransport, ${ownFrames ? "own frames" : "frames of ws"}`, () => {
  describe("an interrupted connect", () => {
    const stages: ReadonlyArray<
      readonly [string, string, (onReached: () => void) => Effect.Effect<Listening, never, Scope.Scope>]
    > = [
      ["the TLS handshake", "wss", (onReached) => tcpServer((socket) => socket.once("data", onReached))],
      ["the upgrade", "ws", (onReached) => tcpServer(httpAnswer(onReached))],
      [
        "the body of a refusal",
        "ws",
        (onReached) =>
          tcpServer(
            httpAnswer((socket) => {
              socket.write("HTTP/1.1 101 Switch")
              onReached()
            })
          )
      ]
    ]
    for (const [name, scheme, serve] of stages) {
      it.live(`leaves nothing behind during ${name}`, () =>
        Effect.gen(function* () {
          const reached = yield* Deferred.make<void>()
          const server = yield* serve(() => Deferred.doneUnsafe(reached, Effect.void))
          const fiber = yield* Effect.forkChild(connect({ url: local(server, scheme) }))
          yield* Deferred.await(reached)
          assert.strictEqual(server.sockets.size, 1)
          yield* Fiber.interrupt(fiber)
          yield* until(() => server.sockets.size === 0)
        })
      )
    }

    it.live("does not wait for a name to be resolved", () =>
      Effect.gen(function* () {
        const asked = yield* Deferred.make<() => void>()
        const server = yield* tcpServer(() => {})
        const lookup: Options["lookup"] = (_, __, callback) => {
          Deferred.doneUnsafe(
            asked,
            Effect.succeed(() => callback(null, [{ address: "127.0.0.1", family: 4 }]))
          )
        }
        const fiber = yield* Effect.forkChild(connect({ url: `ws://name.test:${server.port}` }, { lookup }))
        const answer = yield* Deferred.await(asked)
        yield* Fiber.interrupt(fiber)
        answer()
        yield* turns()
        assert.strictEqual(server.sockets.size, 0)
      })
    )

    it.live("after the opening leaves the socket to the caller, though the fiber could not go on", () =>
      Effect.gen(function* () {
        const server = yield* wsServer(() => {})
        const transport = transportOf()
        const events = recorder()
        const fiber: Fiber.Fiber<void, TransportError> = yield* Effect.forkChild(
          transport.connect(request({ url: local(server) }), {
            ...events,
            onOpen: (socket) => {
              events.onOpen(socket)
              interruptNow(fiber)
            }
          })
        )
        const exit = yield* Fiber.await(fiber)
        assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
        const { gone, opened } = events.heard
        assert.strictEqual(opened.length, 1)
        assert.isTrue(opened[0]!.isOpen)
        assert.strictEqual(gone, 0)
        opened[0]!.destroy()
        yield* until(() => events.heard.gone === 1)
      })
    )

    it.live("leaves nothing behind whenever it comes, or has handed the socket over", () =>
      Effect.gen(function* () {
        const server = yield* wsServer((peer) => peer.send("hello"))
        const transport = transportOf()
        let opened = 0
        for (let steps = 0; steps < 60; steps++) {
          const events = recorder()
          const fiber = yield* Effect.forkChild(transport.connect(request({ url: local(server) }), events))
          yield* turns(steps % 20)
          yield* Fiber.interrupt(fiber)
          const exit = yield* Fiber.await(fiber)
          const { heard } = events
          if (Exit.isSuccess(exit)) assert.strictEqual(heard.opened.length, 1)
          if (heard.opened.length > 0) {
            opened++
            heard.opened[0]!.destroy()
            yield* until(() => heard.gone === 1)
          } else {
            yield* turns()
            assert.isEmpty(heard.messages)
            assert.isEmpty(heard.ends)
          }
        }
        yield* until(() => server.sockets.size === 0)
        assert.isAbove(opened, 0)
        assert.isBelow(opened, 60)
      })
    )

    it.live("lets the caller destroy the socket at once", () =>
      Effect.gen(function* () {
        const server = yield* wsServer((peer) => peer.send("hello"))
        const transport = transportOf()
        const events = recorder()
        yield* transport.connect(request({ url: local(server) }), {
          ...events,
          onOpen: (socket) => {
            events.onOpen(socket)
            socket.destroy()
          }
        })
        yield* until(() => events.heard.gone === 1)
        assert.deepStrictEqual(events.heard.ends, [ended(1006, "Local")])
        assert.isEmpty(events.heard.messages)
        yield* until(() => server.sockets.size === 0)
      })
    )
  })

  it.live("reports nothing inside of the socket's own calls", () =>
    Effect.gen(function* () {
      const server = yield* wsServer((peer) => peer.on("message", (data) => peer.send(data)))
      const transport = transportOf()
      let inside = ""
      const nested: Array<string> = []
      let gone = false
      const note = (event: string) => () => {
        if (inside !== "") nested.push(`${event} in ${inside}`)
        gone ||= event === "onGone"
      }
      const { heard, ...events } = recorder()
      yield* transport.connect(request({ url: local(server) }), {
        ...events,
        onMessage: note("onMessage"),
        onPong: note("onPong"),
        onFlush: note("onFlush"),
        onEnd: note("onEnd"),
        onGone: note("onGone")
      })
      const socket = heard.opened[0]!
      const call = (name: string, f: () => void) =>
        Effect.andThen(
          Effect.sync(() => {
            inside = name
            f()
            inside = ""
          }),
          turns()
        )
      yield* call("send", () => socket.send("a"))
      yield* call("send", () => socket.send(new Uint8Array(1_000_000)))
      yield* call("ping", () => socket.ping("1"))
      yield* call("pause", () => socket.pause())
      yield* call("resume", () => socket.resume())
      yield* call("close", () => socket.close(1000, ""))
      yield* call("destroy", () => socket.destroy())
      yield* until(() => gone)
      assert.deepStrictEqual(nested, [])
    })
  )
})

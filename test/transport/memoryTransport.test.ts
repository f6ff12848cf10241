import type { ConnectionClosedError } from "effect-websocket-pool/PoolError"
import {
  type CloseInfo,
  type ConnectRequest,
  layerMemory,
  type MemoryHandshake,
  type MemoryPeer,
  type MemoryRefusal,
  type Message,
  type SocketEvents,
  type TransportError,
  type TransportSocket,
  WebSocketTransport
} from "effect-websocket-pool/WebSocketTransport"
import * as Context from "#effect/Context"
import * as Deferred from "#effect/Deferred"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Layer from "#effect/Layer"
import * as Queue from "#effect/Queue"
import * as Scope from "#effect/Scope"
import * as TestClock from "#effect/testing/TestClock"
import { poll, repeated } from "#support/fibers"
import { assert, describe, expectTypeOf, it } from "#support/vitest"
import { atStep, Steps } from "../support/steps.js"

type Event =
  | readonly ["message", Message, number]
  | readonly ["pong", string]
  | readonly ["flush"]
  | readonly ["end", CloseInfo]
  | readonly ["gone"]

interface Client {
  readonly socket: TransportSocket
  readonly log: ReadonlyArray<Event>
  /** The log, flushes aside. */
  readonly heard: () => ReadonlyArray<Event>
}

const recorder = () => {
  const log: Array<Event> = []
  const opened: Array<TransportSocket> = []
  const events: SocketEvents = {
    onOpen: (socket) => opened.push(socket),
    onMessage: (message, bytes) => log.push(["message", message, bytes]),
    onPong: (payload) => log.push(["pong", payload]),
    onFlush: () => log.push(["flush"]),
    onEnd: (info) => log.push(["end", info]),
    onGone: () => log.push(["gone"])
  }
  return { log, events, opened, heard: () => log.filter((event) => event[0] !== "flush") }
}

const request: ConnectRequest = {
  url: "ws://user:secret@server.test/path?token=1",
  protocols: [],
  headers: {},
  maxPayload: 100,
  closeTimeout: 1_000
}

const connect = (overrides: Partial<ConnectRequest> = {}): Effect.Effect<Client, TransportError, WebSocketTransport> =>
  Effect.gen(function* () {
    const transport = yield* WebSocketTransport
    const { events, heard, log, opened } = recorder()
    yield* transport.connect({ ...request, ...overrides }, events)
    assert.strictEqual(opened.length, 1)
    return { socket: opened[0]!, log, heard }
  })

/** Lets everything run that can. */
const settle = repeated(Effect.yieldNow, 50)

/** A server whose peers are handed to the test. */
const withPeers = () => {
  const peers = Effect.runSync(Queue.unbounded<MemoryPeer>())
  const layer = layerMemory((peer) => Effect.andThen(Queue.offer(peers, peer), Effect.never))
  const open = (overrides?: Partial<ConnectRequest>) =>
    Effect.gen(function* () {
      const client = yield* connect(overrides)
      const peer = yield* Queue.take(peers)
      return { ...client, peer }
    })
  return { layer, open }
}

const echo = (peer: MemoryPeer) => Effect.forever(Effect.flatMap(peer.receive, peer.send))

const summary = ({ code, initiator, reason }: ConnectionClosedError) => ({ code, initiator, reason })

describe("layerMemory", () => {
  it("has the types that its documentation promises", () => {
    class Dependency extends Context.Service<Dependency, string>()("Dependency") {}
    const handler = (peer: MemoryPeer) =>
      Effect.gen(function* () {
        yield* peer.send(yield* Dependency)
        yield* Effect.addFinalizer(() => Effect.void)
        return yield* Effect.fail("no" as const)
      })
    expectTypeOf(layerMemory(handler)).toEqualTypeOf<Layer.Layer<WebSocketTransport, never, Dependency>>()
    expectTypeOf(layerMemory(echo)).toEqualTypeOf<Layer.Layer<WebSocketTransport>>()
    expectTypeOf(layerMemory(echo, { accept: () => Effect.fail(503) })).toEqualTypeOf<Layer.Layer<WebSocketTransport>>()
    expectTypeOf<MemoryHandshake["protocols"]>().toEqualTypeOf<ReadonlyArray<string>>()
  })

  describe("messages", () => {
    it.effect("go both ways in order, text as string, binary as plain Uint8Array", () =>
      Effect.gen(function* () {
        const { heard, socket } = yield* connect()
        assert.strictEqual(socket.send("grüße 👋"), 12)
        assert.strictEqual(socket.send(Buffer.from([1, 2, 3])), 3)
        socket.send("")
        yield* settle
        const [first, second, third] = heard()
        assert.deepStrictEqual(first, ["message", "grüße 👋", 12])
        assert.deepStrictEqual(second, ["message", new Uint8Array([1, 2, 3]), 3])
        assert.strictEqual(Object.getPrototypeOf(second![1]), Uint8Array.prototype)
        assert.deepStrictEqual(third, ["message", "", 0])
      }).pipe(Effect.provide(layerMemory(echo)))
    )

    it.effect(
      "reach a server that is between its look for one and its wait, where the scheduler lets others go first",
      () => {
        const { layer, open } = withPeers()
        return Effect.gen(function* () {
          const { peer, socket } = yield* open()
          for (let step = 0; step < 30; step++) {
            const steps = new Steps(atStep(step))
            const receiving = steps.fork(peer.receive)
            steps.do(() => socket.send("hello"))
            steps.run()
            assert.isDefined(poll(receiving), `after ${step} steps`)
          }
        }).pipe(Effect.provide(layer))
      }
    )

    it.effect("are copied in both directions", () => {
      const { layer, open } = withPeers()
      return Effect.gen(function* () {
        const { heard, peer, socket } = yield* open()
        const outgoing = new Uint8Array([1])
        socket.send(outgoing)
        outgoing[0] = 9
        assert.deepStrictEqual(yield* peer.receive, new Uint8Array([1]))

        const incoming = new Uint8Array([2])
        socket.pause()
        const sending = yield* Effect.forkChild(peer.send(incoming))
        yield* settle
        incoming[0] = 9
        socket.resume()
        yield* Fiber.join(sending)
        assert.deepStrictEqual(heard(), [["message", new Uint8Array([2]), 1]])
      }).pipe(Effect.provide(layer))
    })

    it.effect("that the handler sends at once reach the client in order", () =>
      Effect.gen(function* () {
        const { heard } = yield* connect()
        yield* settle
        assert.deepStrictEqual(heard().slice(0, 2), [
          ["message", "hello", 5],
          ["message", "world", 5]
        ])
      }).pipe(Effect.provide(layerMemory((peer) => Effect.all([peer.send("hello"), peer.send("world"), Effect.never]))))
    )

    it.effect("count as buffered until the handler has received them, text in bytes of UTF-8", () => {
      const { layer, open } = withPeers()
      return Effect.gen(function* () {
        const { log, peer, socket } = yield* open()
        socket.send("é")
        socket.send(new Uint8Array(10))
        yield* settle
        assert.strictEqual(socket.bufferedAmount, 12)
        assert.deepStrictEqual(log, [])
        const before = socket.progress
        yield* peer.receive
        assert.strictEqual(socket.bufferedAmount, 10)
        assert.deepStrictEqual(log, [["flush"]])
        assert.notStrictEqual(socket.progress, before)
        yield* peer.receive
        assert.strictEqual(socket.bufferedAmount, 0)
        assert.deepStrictEqual(log, [["flush"], ["flush"]])
      }).pipe(Effect.provide(layer))
    })

    it.effect("survive an interrupted receive, whichever comes first", () => {
      const { layer, open } = withPeers()
      return Effect.gen(function* () {
        const { peer, socket } = yield* open()
        for (let i = 0; i < 20; i++) {
          const receiver = yield* Effect.forkChild(peer.receive)
          for (let steps = 0; steps < i % 5; steps++) yield* Effect.yieldNow
          socket.send(`${i}`)
          for (let steps = 0; steps < i % 3; steps++) yield* Effect.yieldNow
          yield* Fiber.interrupt(receiver)
          const exit = yield* Fiber.await(receiver)
          const received = Exit.isSuccess(exit) ? exit.value : yield* peer.receive
          assert.strictEqual(received, `${i}`)
        }
      }).pipe(Effect.provide(layer))
    })

    it.effect("are given to one each of several receivers", () => {
      const { layer, open } = withPeers()
      return Effect.gen(function* () {
        const { peer, socket } = yield* open()
        const receivers = yield* Effect.replicateEffect(Effect.forkChild(peer.receive), 3)
        yield* settle
        for (const message of ["a", "b", "c"]) socket.send(message)
        assert.deepStrictEqual((yield* Effect.forEach(receivers, (receiver) => Fiber.join(receiver))).sort(), [
          "a",
          "b",
          "c"
        ])
      }).pipe(Effect.provide(layer))
    })

    it.effect("larger than maxPayload close the connection with 1009 on both sides", () => {
      const { layer, open } = withPeers()
      return Effect.gen(function* () {
        const { heard, peer, socket } = yield* open({ maxPayload: 4 })
        yield* peer.send("1234")
        yield* peer.send("12345")
        assert.deepStrictEqual(heard(), [
          ["message", "1234", 4],
          ["end", { code: 1009, reason: "", initiator: "Local" }],
          ["gone"]
        ])
        assert.isFalse(socket.isOpen)
        const error = yield* Effect.flip(peer.receive)
        assert.deepStrictEqual(summary(error), { code: 1009, reason: "", initiator: "Remote" })
      }).pipe(Effect.provide(layer))
    })
  })

  describe("pause", () => {
    it.effect("makes the server's send wait, and what comes behind waits too", () => {
      const { layer, open } = withPeers()
      return Effect.gen(function* () {
        const { heard, peer, socket } = yield* open()
        socket.pause()
        const sending = yield* Effect.forkChild(Effect.all([peer.send("1"), peer.send("2")]))
        yield* settle
        socket.ping("p")
        yield* peer.close(4000, "bye")
        yield* settle
        assert.isUndefined(poll(sending))
        assert.deepStrictEqual(heard(), [])
        assert.isTrue(socket.isOpen)

        socket.resume()
        assert.deepStrictEqual(heard(), [])
        yield* settle
        // The second message comes too late: the server has closed by then.
        assert.deepStrictEqual(heard(), [
          ["message", "1", 1],
          ["pong", "p"],
          ["end", { code: 4000, reason: "bye", initiator: "Remote" }],
          ["gone"]
        ])
        const error = yield* Effect.flip(Fiber.join(sending))
        assert.deepStrictEqual(summary(error), { code: 4000, reason: "bye", initiator: "Local" })
      }).pipe(Effect.provide(layer))
    })

    it.effect("keeps the order of waiting senders, and forgets an interrupted one", () => {
      const { layer, open } = withPeers()
      return Effect.gen(function* () {
        const { heard, peer, socket } = yield* open()
        socket.pause()
        const first = yield* Effect.forkChild(peer.send("1"))
        yield* settle
        const second = yield* Effect.forkChild(peer.send("2"))
        yield* settle
        const third = yield* Effect.forkChild(peer.send("3"))
        yield* settle
        yield* Fiber.interrupt(second)
        socket.resume()
        yield* Fiber.join(first)
        yield* Fiber.join(third)
        assert.deepStrictEqual(heard(), [
          ["message", "1", 1],
          ["message", "3", 1]
        ])
      }).pipe(Effect.provide(layer))
    })

    it.effect("fails the waiting senders when the client destroys the socket", () => {
      const { layer, open } = withPeers()
      return Effect.gen(function* () {
        const { peer, socket } = yield* open()
        socket.pause()
        const sending = yield* Effect.forkChild(Effect.flip(peer.send("1")))
        yield* settle
        socket.destroy()
        const error = yield* Fiber.join(sending)
        assert.deepStrictEqual(summary(error), { code: 1006, reason: "", initiator: "Remote" })
      }).pipe(Effect.provide(layer))
    })
  })

  describe("ping", () => {
    it.effect("is answered at once, from a tick of its own", () =>
      Effect.gen(function* () {
        const { heard, socket } = yield* connect()
        const before = socket.progress
        socket.ping("1")
        socket.ping("2")
        assert.deepStrictEqual(heard(), [])
        yield* settle
        assert.deepStrictEqual(heard(), [
          ["pong", "1"],
          ["pong", "2"]
        ])
        assert.notStrictEqual(socket.progress, before)
      }).pipe(Effect.provide(layerMemory(() => Effect.never)))
    )
  })

  describe("close", () => {
    it.effect("by the client is answered, and the server reads what came before", () => {
      const { layer, open } = withPeers()
      return Effect.gen(function* () {
        const { heard, peer, socket } = yield* open()
        socket.send("last")
        socket.close(4001, "done")
        assert.isFalse(socket.isOpen)
        assert.deepStrictEqual(heard(), [])
        socket.send("too late")
        yield* settle
        assert.deepStrictEqual(heard(), [["end", { code: 4001, reason: "done", initiator: "Local" }], ["gone"]])

        assert.strictEqual(yield* peer.receive, "last")
        const expected = { code: 4001, reason: "done", initiator: "Remote" } as const
        const failed = yield* Effect.flip(peer.receive)
        assert.deepStrictEqual(summary(failed), expected)
        assert.match(failed.connectionId, /^memory-\d+$/)
        assert.deepStrictEqual(summary(yield* Effect.flip(peer.send("x"))), expected)
        // Nothing is reported once the socket is gone.
        assert.strictEqual(heard().length, 2)
      }).pipe(Effect.provide(layer))
    })

    it.effect("by the client wakes a receiving server", () => {
      const { layer, open } = withPeers()
      return Effect.gen(function* () {
        const { peer, socket } = yield* open()
        const receiver = yield* Effect.forkChild(Effect.flip(peer.receive))
        yield* settle
        socket.close(1000, "")
        assert.strictEqual((yield* Fiber.join(receiver)).code, 1000)
      }).pipe(Effect.provide(layer))
    })

    for (const [name, code, expected] of [
      ["defaults to 1000", undefined, 1000],
      ["passes an application's code", 4999, 4999],
      ["without a code is 1005", 1005, 1005],
      ["with 1006 cuts the line", 1006, 1006],
      ["makes 1000 of a code that cannot be sent", 999, 1000]
    ] as const) {
      it.effect(`by the server ${name}`, () => {
        const { layer, open } = withPeers()
        return Effect.gen(function* () {
          const { heard, peer, socket } = yield* open()
          socket.send("unread")
          yield* peer.close(code)
          assert.deepStrictEqual(heard(), [["end", { code: expected, reason: "", initiator: "Remote" }], ["gone"]])
          assert.isFalse(socket.isOpen)
          assert.strictEqual((yield* Effect.flip(peer.send("x"))).initiator, "Local")
          yield* peer.close(4000)
          yield* peer.destroy
          assert.strictEqual(heard().length, 2)
        }).pipe(Effect.provide(layer))
      })
    }

    it.effect("by the server cuts a reason that is too long between two characters", () => {
      const { layer, open } = withPeers()
      return Effect.gen(function* () {
        const { heard, peer } = yield* open()
        yield* peer.close(4000, "é".repeat(100))
        assert.deepStrictEqual(heard()[0], ["end", { code: 4000, reason: "é".repeat(61), initiator: "Remote" }])
      }).pipe(Effect.provide(layer))
    })

    it.effect("by both at once counts as the client's", () => {
      const { layer, open } = withPeers()
      return Effect.gen(function* () {
        const { heard, peer, socket } = yield* open()
        socket.pause()
        yield* peer.close(4000, "server")
        socket.close(4001, "client")
        socket.resume()
        yield* settle
        assert.deepStrictEqual(heard(), [["end", { code: 4000, reason: "server", initiator: "Local" }], ["gone"]])
      }).pipe(Effect.provide(layer))
    })
  })

  describe("destroy", () => {
    it.effect("by the client ends both sides with 1006", () => {
      const { layer, open } = withPeers()
      return Effect.gen(function* () {
        const { heard, peer, socket } = yield* open()
        socket.send("last")
        socket.destroy()
        socket.destroy()
        assert.deepStrictEqual(heard(), [["end", { code: 1006, reason: "", initiator: "Local" }], ["gone"]])
        assert.strictEqual(yield* peer.receive, "last")
        assert.deepStrictEqual(summary(yield* Effect.flip(peer.receive)), {
          code: 1006,
          reason: "",
          initiator: "Remote"
        })
        socket.ping("1")
        socket.close(1000, "")
        socket.resume()
        yield* settle
        assert.strictEqual(heard().length, 2)
      }).pipe(Effect.provide(layer))
    })

    it.effect("by the server ends both sides with 1006, what is under way is lost", () => {
      const { layer, open } = withPeers()
      return Effect.gen(function* () {
        const { heard, peer, socket } = yield* open()
        socket.send("unread")
        socket.ping("unanswered")
        yield* peer.destroy
        assert.deepStrictEqual(heard(), [["end", { code: 1006, reason: "", initiator: "Remote" }], ["gone"]])
        yield* settle
        assert.strictEqual(heard().length, 2)
        assert.deepStrictEqual(summary(yield* Effect.flip(peer.receive)), {
          code: 1006,
          reason: "",
          initiator: "Local"
        })
      }).pipe(Effect.provide(layer))
    })

    it.effect("inside of onEnd reports onGone once", () =>
      Effect.gen(function* () {
        const transport = yield* WebSocketTransport
        const { events, log, opened } = recorder()
        yield* transport.connect(request, {
          ...events,
          onEnd: (info) => {
            events.onEnd(info)
            opened[0]!.destroy()
          }
        })
        yield* settle
        assert.deepStrictEqual(log, [["end", { code: 1000, reason: "", initiator: "Remote" }], ["gone"]])
      }).pipe(Effect.provide(layerMemory(() => Effect.void)))
    )
  })

  describe("silence", () => {
    it.effect("lets nothing through, until the client destroys the socket", () => {
      const { layer, open } = withPeers()
      return Effect.gen(function* () {
        const { heard, peer, socket } = yield* open()
        socket.send("before")
        yield* peer.silence
        const receiver = yield* Effect.forkChild(peer.receive)
        yield* peer.send("lost")
        socket.send("after")
        socket.ping("1")
        yield* settle
        assert.strictEqual(socket.bufferedAmount, 11)
        assert.isUndefined(poll(receiver))
        socket.close(1000, "")
        yield* peer.close()
        yield* peer.destroy
        yield* settle
        assert.deepStrictEqual(heard(), [])

        socket.destroy()
        assert.deepStrictEqual(heard(), [["end", { code: 1006, reason: "", initiator: "Local" }], ["gone"]])
      }).pipe(Effect.provide(layer))
    })

    it.effect("swallows what the paused client has not read", () => {
      const { layer, open } = withPeers()
      return Effect.gen(function* () {
        const { heard, peer, socket } = yield* open()
        socket.pause()
        const sending = yield* Effect.forkChild(peer.send("lost"))
        yield* settle
        yield* peer.silence
        yield* Fiber.join(sending)
        socket.resume()
        yield* settle
        assert.deepStrictEqual(heard(), [])
      }).pipe(Effect.provide(layer))
    })

    it.effect("outlasts the handler", () =>
      Effect.gen(function* () {
        const { heard, socket } = yield* connect()
        yield* settle
        assert.deepStrictEqual(heard(), [])
        assert.isTrue(socket.isOpen)
      }).pipe(Effect.provide(layerMemory((peer) => peer.silence)))
    )
  })

  describe("handler", () => {
    it.effect("closes with 1000 when it ends, after its scope", () => {
      const order: Array<string> = []
      const handler = () =>
        Effect.addFinalizer(() =>
          Effect.sync(() => {
            order.push("finalizer")
          })
        )
      return Effect.gen(function* () {
        const transport = yield* WebSocketTransport
        const { events, log } = recorder()
        yield* transport.connect(request, {
          ...events,
          onEnd: (info) => {
            order.push("end")
            events.onEnd(info)
          }
        })
        yield* settle
        assert.deepStrictEqual(log, [["end", { code: 1000, reason: "", initiator: "Remote" }], ["gone"]])
        assert.deepStrictEqual(order, ["finalizer", "end"])
      }).pipe(Effect.provide(layerMemory(handler)))
    })

    for (const [name, handler] of [
      ["fails", () => Effect.fail("boom")],
      ["dies", () => Effect.die("boom")],
      ["interrupts itself", () => Effect.interrupt],
      [
        "throws",
        () => {
          throw new Error("boom")
        }
      ]
    ] as ReadonlyArray<readonly [string, () => Effect.Effect<unknown, unknown>]>) {
      it.effect(`closes with 1011 when it ${name}`, () =>
        Effect.gen(function* () {
          const { heard } = yield* connect()
          yield* settle
          assert.deepStrictEqual(heard(), [["end", { code: 1011, reason: "", initiator: "Remote" }], ["gone"]])
        }).pipe(Effect.provide(layerMemory(handler)))
      )
    }

    it.effect("lives on after the connection has ended, until the layer ends", () =>
      Effect.gen(function* () {
        const log: Array<string> = []
        const handler = (peer: MemoryPeer) =>
          Effect.gen(function* () {
            log.push(`closed with ${(yield* Effect.flip(peer.receive)).code}`)
            yield* Effect.sleep("1 second")
            log.push("cleaned up")
            yield* Effect.never
          }).pipe(
            Effect.onInterrupt(() =>
              Effect.sync(() => {
                log.push("interrupted")
              })
            )
          )
        const scope = yield* Scope.make()
        const context = yield* Layer.buildWithScope(layerMemory(handler), scope)
        const { heard, socket } = yield* Effect.provide(connect(), context)
        yield* settle
        socket.close(4000, "")
        yield* settle
        yield* TestClock.adjust("999 millis")
        assert.deepStrictEqual(log, ["closed with 4000"])
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(log, ["closed with 4000", "cleaned up"])
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual(log, ["closed with 4000", "cleaned up", "interrupted"])
        assert.strictEqual(heard().length, 2)
      })
    )

    it.effect("is interrupted at the end of the layer once its connection is over, and connects go on", () =>
      Effect.gen(function* () {
        let interrupted = 0
        const scope = yield* Scope.make()
        const handler = () =>
          Effect.onInterrupt(Effect.never, () =>
            Effect.sync(() => {
              interrupted += 1
            })
          )
        const context = yield* Layer.buildWithScope(layerMemory(handler), scope)
        const over = yield* Effect.provide(connect(), context)
        const open = yield* Effect.provide(connect(), context)
        yield* settle
        over.socket.destroy()
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(interrupted, 1)
        assert.isTrue(open.socket.isOpen)
        assert.isTrue((yield* Effect.provide(connect(), context)).socket.isOpen)
      })
    )

    it.effect("sees the URL, the headers and the first protocol that was offered", () => {
      const { layer, open } = withPeers()
      return Effect.gen(function* () {
        const { peer, socket } = yield* open({
          headers: { Authorization: "Bearer 1", "x-plain": "2" },
          protocols: ["b", "a"]
        })
        assert.strictEqual(peer.url, request.url)
        assert.strictEqual(peer.headers.authorization, "Bearer 1")
        assert.strictEqual(peer.headers.Authorization, "Bearer 1")
        assert.deepStrictEqual({ ...peer.headers }, { authorization: "Bearer 1", "x-plain": "2" })
        assert.strictEqual(peer.protocol, "b")
        assert.strictEqual(socket.protocol, "b")
        assert.strictEqual((yield* open()).socket.protocol, "")
      }).pipe(Effect.provide(layer))
    })

    it.effect("has the layer's context", () => {
      class Greeting extends Context.Service<Greeting, string>()("Greeting") {}
      const handler = (peer: MemoryPeer) => Effect.flatMap(Greeting, peer.send)
      return Effect.gen(function* () {
        const { heard } = yield* connect()
        yield* settle
        assert.deepStrictEqual(heard()[0], ["message", "hi", 2])
      }).pipe(Effect.provide(Layer.provide(layerMemory(handler), Layer.succeed(Greeting, "hi"))))
    })
  })

  describe("accept", () => {
    it.effect("sees the handshake and may take its time", () => {
      const seen: Array<MemoryHandshake> = []
      const accept = (handshake: MemoryHandshake) =>
        Effect.sync(() => seen.push(handshake)).pipe(Effect.delay("5 seconds"))
      return Effect.gen(function* () {
        const connecting = yield* Effect.forkChild(connect({ headers: { A: "1" }, protocols: ["p"] }))
        yield* TestClock.adjust("4999 millis")
        assert.isUndefined(poll(connecting))
        yield* TestClock.adjust("1 millis")
        const { socket } = yield* Fiber.join(connecting)
        assert.isTrue(socket.isOpen)
        assert.deepStrictEqual(
          { ...seen[0], headers: { ...seen[0]!.headers } },
          {
            url: request.url,
            headers: { a: "1" },
            protocols: ["p"]
          }
        )
      }).pipe(Effect.provide(layerMemory(() => Effect.never, { accept })))
    })

    for (const [name, status, accept] of [
      ["the status that it fails with", 429, () => Effect.fail(429)],
      ["500 when it dies", 500, () => Effect.die("boom")],
      ["500 when it interrupts itself", 500, () => Effect.interrupt],
      [
        "500 when it throws",
        500,
        () => {
          throw new Error("boom")
        }
      ]
    ] as ReadonlyArray<readonly [string, number, () => Effect.Effect<unknown, number>]>) {
      it.effect(`refuses with ${name}`, () =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(connect())
          assert.strictEqual(error.reason, "Handshake")
          assert.strictEqual(error.status, status)
        }).pipe(Effect.provide(layerMemory(() => Effect.die("not reached"), { accept })))
      )
    }

    it.effect("is interrupted with the connect, and no handler runs", () =>
      Effect.gen(function* () {
        const log: Array<string> = []
        const waiting = yield* Deferred.make<void>()
        const accept = () =>
          Effect.andThen(Deferred.succeed(waiting, void 0), Effect.never).pipe(
            Effect.onInterrupt(() => Effect.sync(() => log.push("interrupted")))
          )
        const handler = () => Effect.sync(() => log.push("handled"))
        yield* Effect.gen(function* () {
          const connecting = yield* Effect.forkChild(connect())
          yield* Deferred.await(waiting)
          yield* Fiber.interrupt(connecting)
          yield* settle
          assert.deepStrictEqual(log, ["interrupted"])
        }).pipe(Effect.provide(layerMemory(handler, { accept })))
      })
    )
  })

  it.effect("interrupted at any step, a connect has opened nothing, or has handed the socket over", () =>
    Effect.gen(function* () {
      let handled = 0
      const layer = layerMemory(() => Effect.sync(() => handled++), { accept: () => Effect.yieldNow })
      yield* Effect.gen(function* () {
        const transport = yield* WebSocketTransport
        const { events, opened } = recorder()
        for (let steps = 0; steps < 30; steps++) {
          const connecting = yield* Effect.forkChild(transport.connect(request, events))
          for (let i = 0; i < steps % 10; i++) yield* Effect.yieldNow
          yield* Fiber.interrupt(connecting)
        }
        yield* settle
        assert.strictEqual(handled, opened.length)
        assert.isAbove(handled, 0)
        assert.isBelow(handled, 30)
      }).pipe(Effect.provide(layer))
    })
  )

  it.effect("reports nothing inside of the client's own calls, destroy aside", () =>
    Effect.gen(function* () {
      const transport = yield* WebSocketTransport
      let inside = ""
      const nested: Array<string> = []
      const note = (event: string) => () => {
        if (inside !== "") nested.push(`${event} in ${inside}`)
      }
      const { events, opened } = recorder()
      yield* transport.connect(request, {
        ...events,
        onMessage: note("onMessage"),
        onPong: note("onPong"),
        onFlush: note("onFlush"),
        onEnd: note("onEnd"),
        onGone: note("onGone")
      })
      const socket = opened[0]!
      const call = (name: string, f: () => void) =>
        Effect.andThen(
          Effect.sync(() => {
            inside = name
            f()
            inside = ""
          }),
          settle
        )
      yield* call("send", () => socket.send("a"))
      yield* call("pause", () => socket.pause())
      yield* call("send", () => socket.send("b"))
      yield* call("ping", () => socket.ping("1"))
      yield* call("resume", () => socket.resume())
      yield* call("ping", () => socket.ping("2"))
      yield* call("close", () => socket.close(1000, ""))
      assert.deepStrictEqual(nested, [])
    }).pipe(Effect.provide(layerMemory(echo)))
  )

  // The handlers were as uninterruptible as the region in which the layer was built: closing it took for ever.
  it.effect("can be closed though it was built where nothing can be interrupted", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      let ended = 0
      const server = layerMemory(() =>
        Effect.ensuring(
          Effect.never,
          Effect.sync(() => ended++)
        )
      )
      const context = yield* Effect.uninterruptible(Layer.buildWithScope(server, scope))
      const { events, opened } = recorder()
      yield* Context.get(context, WebSocketTransport).connect(request, events)
      yield* settle
      opened[0]!.destroy()
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* settle
      assert.isDefined(poll(closing))
      assert.strictEqual(ended, 1)
    })
  )

  it.effect("refuses with a status and a time to wait", () =>
    Effect.gen(function* () {
      const refusals: ReadonlyArray<readonly [number | MemoryRefusal, number, number | undefined]> = [
        [503, 503, undefined],
        [{ status: 503 }, 503, undefined],
        [{ status: 503, retryAfter: "7 seconds" }, 503, 7_000],
        [{ status: 429, retryAfter: 0 }, 429, 0],
        // As in `Retry-After`, it counts only where it says when to come back.
        [{ status: 401, retryAfter: "7 seconds" }, 401, undefined]
      ]
      for (const [given, status, wait] of refusals) {
        const error = yield* Effect.flatMap(WebSocketTransport, (transport) =>
          Effect.flip(transport.connect(request, recorder().events))
        ).pipe(Effect.provide(layerMemory(() => Effect.never, { accept: () => Effect.fail(given) })))
        assert.strictEqual(error.reason, "Handshake")
        assert.strictEqual(error.status, status)
        assert.strictEqual(error.retryAfter && Duration.toMillis(error.retryAfter), wait)
        // The status is told once, by whoever tells of the error.
        assert.notInclude(String(error.cause), String(status))
      }
    })
  )

  it.effect("numbers its connections", () => {
    const { layer, open } = withPeers()
    return Effect.gen(function* () {
      const ids = yield* Effect.forEach([1, 2], () =>
        Effect.gen(function* () {
          const { peer, socket } = yield* open()
          socket.destroy()
          return (yield* Effect.flip(peer.receive)).connectionId
        })
      )
      assert.deepStrictEqual(ids, ["memory-1", "memory-2"])
    }).pipe(Effect.provide(layer))
  })
})

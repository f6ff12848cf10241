import { PoolError, type PoolEvent, WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
import type { WebSocketConnection } from "effect-websocket-pool/WebSocketConnection"
import type * as Cause from "#effect/Cause"
import type * as Context from "#effect/Context"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Layer from "#effect/Layer"
import * as Scope from "#effect/Scope"
import * as Stream from "#effect/Stream"
import { defectsOf, failuresOf, interruptNow, liveFibers, poll, quietly, repeated } from "#support/fibers"
import type { Act, Mood, Program, Setting, Step, Wish } from "./program.js"
import { Violation, World } from "./world.js"

const shutdownTimeout = 1000
const closeTimeout = 500

/** How late the pool may notice that an ask was interrupted. */
const sweepInterval = 100

/** What a run has seen. */
export type Tally = {
  readonly leases: number
  readonly asks: number
  readonly messages: number
  readonly sockets: number
  readonly seconds: number
}

interface Peer {
  readonly peer: WebSocketTransport.MemoryPeer
  isOpen: boolean
}

/** One lease that a fiber asks for. */
interface User {
  readonly token: number
  readonly mode: string
  fiber: Fiber.Fiber<unknown, unknown> | undefined
}

/** One ask. It has no handle: what becomes of it shows on the wire. */
interface Asker extends User {
  /** On what it was written, and how many messages had arrived then. */
  socket: WebSocketTransport.TransportSocket | undefined
  since: number
  /** Whether it was the first to be written there. */
  isFirst: boolean
  hasEnded: boolean
  interruptedAt: number | undefined
  /** Whether something had come for it when it was interrupted. */
  wasAnswered: boolean
}

class Simulation {
  readonly world: World
  mood: Mood = "open"
  peers: Array<Peer> = []
  users: Array<User> = []
  /** Sockets open at the client's side of the wire. */
  alive = 0
  opened = 0
  /** The most sockets that there may be, given the limits so far. */
  allowed: number
  open = new Set<WebSocketTransport.TransportSocket>()
  /** Messages that arrived, and when, by their text. */
  arrivals = new Map<string, number>()
  arrived = 0
  delivered = 0
  /** Who holds what. */
  holders = new Map<string, User>()
  connections = new Map<string, WebSocketConnection>()
  leasesOf = new Map<string, number>()
  /** The last arrival before the latest lease of a connection ended. */
  endedAt = new Map<string, number>()
  /** When it ended. */
  quietSince = new Map<string, number>()
  /** Connections that must not be leased again. */
  unfit = new Set<string>()
  leases = 0
  /** By their tokens. */
  askers = new Map<string, Asker>()
  /** On which socket a message arrived, and how many have on each. */
  arrivedOn = new Map<string, WebSocketTransport.TransportSocket>()
  arrivedAt = new Map<WebSocketTransport.TransportSocket, number>()
  written = new Set<WebSocketTransport.TransportSocket>()
  /** Sockets on which nothing may be written any more, and whose reply may still come. */
  abandoned = new Map<WebSocketTransport.TransportSocket, number>()
  sent = 0
  tokens = 0
  violation: Violation | undefined
  counts = new Map<string, number>()
  line: Array<User> = []
  /** Who has been served before others that had waited longer, by those others. */
  readonly overtaken = new Map<User, User>()
  pool!: WebSocketPool.WebSocketPool

  constructor(readonly setting: Setting) {
    this.world = new World(setting.seed, setting.yields)
    this.allowed = setting.max
  }

  fail(message: string): never {
    this.violation ??= new Violation(message)
    throw this.violation
  }

  // The server

  text(kind: string, token: number | string): string {
    this.sent += 1
    return `${kind}|${token}|${this.sent}`
  }

  /** Until when the server has asked to be left alone. */
  heldUntil = Number.NEGATIVE_INFINITY
  /** How many connections had been opened when it did. */
  openedWhenHeld = 0

  readonly accept = (): Effect.Effect<void, number | WebSocketTransport.MemoryRefusal> => {
    // An attempt may have begun before that was said, where it computes something first.
    const isTold = this.world.now > this.heldUntil - 1999.999
    // Not the events: they come after what they tell of.
    const hasSucceeded = this.pool !== undefined && this.stats().opened > this.openedWhenHeld
    // The clock of the pool shows whole nanoseconds.
    const isHeld = this.world.now < this.heldUntil - 1e-6
    if (isTold && isHeld && !hasSucceeded && !this.setting.computes) {
      this.fail("an attempt before Retry-After has passed")
    }
    switch (this.mood) {
      case "open":
      case "slams":
        return Effect.void
      case "slow":
        return Effect.sleep(Duration.millis(this.world.int(3000)))
      case "hangs":
        return Effect.never
      case "refuses":
        return Effect.fail(503)
      case "forbids":
        return Effect.fail(403)
      case "holdsOff":
        this.heldUntil = this.world.now + 2000
        this.openedWhenHeld = this.stats().opened
        return Effect.fail({ status: 503, retryAfter: "2 seconds" })
    }
  }

  readonly serve = (
    peer: WebSocketTransport.MemoryPeer
  ): Effect.Effect<void, PoolError.ConnectionClosedError, Scope.Scope> => {
    const entry: Peer = { peer, isOpen: true }
    this.peers.push(entry)
    const greet = this.world.chance(0.3) ? peer.send(this.text("greeting", "-")) : Effect.void
    const slam = this.mood === "slams" ? peer.close(4000, "not today") : Effect.void
    return Effect.andThen(
      Effect.andThen(greet, slam),
      Effect.forever(Effect.flatMap(peer.receive, (message) => this.answer(peer, String(message))))
    ).pipe(
      Effect.ensuring(
        Effect.sync(() => {
          entry.isOpen = false
        })
      )
    )
  }

  answer(
    peer: WebSocketTransport.MemoryPeer,
    message: string
  ): Effect.Effect<void, PoolError.ConnectionClosedError, Scope.Scope> {
    const [token = "-", wish] = message.split("|")
    const reply = (kind: string) => Effect.suspend(() => peer.send(this.text(kind, token)))
    switch (wish as Wish) {
      case "echo":
        return reply("reply")
      case "twice":
        return Effect.andThen(reply("reply"), reply("again"))
      case "late":
        return Effect.asVoid(
          Effect.forkScoped(Effect.ignore(Effect.delay(reply("late"), Duration.millis(this.world.int(3000)))))
        )
      case "flood":
        return Effect.asVoid(Effect.forkScoped(Effect.ignore(repeated(reply("flood"), 20))))
      case "close":
        return peer.close(1000, "bye")
      case "fail":
        return peer.close(1011, "oh")
      case "reset":
        return peer.destroy
      case "silence":
        return peer.silence
      default:
        return Effect.void
    }
  }

  // The wire

  readonly transport = Layer.effect(
    WebSocketTransport.WebSocketTransport,
    Effect.map(WebSocketTransport.WebSocketTransport, (transport) => ({
      connect: (request: WebSocketTransport.ConnectRequest, events: WebSocketTransport.SocketEvents) => {
        let opened: WebSocketTransport.TransportSocket | undefined
        return transport.connect(request, {
          onOpen: (socket) => {
            opened = socket
            this.open.add(socket)
            this.alive += 1
            this.opened += 1
            if (this.alive > this.allowed) this.fail(`${this.alive} sockets at the server, ${this.allowed} allowed`)
            events.onOpen(this.watched(socket))
          },
          onMessage: (message, bytes) => {
            this.arrived += 1
            this.arrivals.set(String(message), this.arrived)
            if (opened !== undefined) {
              this.arrivedOn.set(String(message), opened)
              this.arrivedAt.set(opened, this.arrived)
            }
            events.onMessage(message, bytes)
          },
          onPong: (payload) => events.onPong(payload),
          onFlush: () => events.onFlush(),
          onEnd: (info) => events.onEnd(info),
          onGone: () => {
            if (opened !== undefined) this.open.delete(opened)
            this.alive -= 1
            events.onGone()
          }
        })
      },
      // Others may go on before that.
      defer: this.setting.defers ? (f: () => void) => queueMicrotask(f) : undefined
    }))
  ).pipe(Layer.provide(WebSocketTransport.layerMemory(this.serve, { accept: this.accept })))

  /** When our side began to close what is still there. */
  closing = new Map<WebSocketTransport.TransportSocket, number>()

  watched(socket: WebSocketTransport.TransportSocket): WebSocketTransport.TransportSocket {
    return {
      protocol: socket.protocol,
      get isOpen() {
        return socket.isOpen
      },
      get bufferedAmount() {
        return socket.bufferedAmount
      },
      get progress() {
        return socket.progress
      },
      send: (message) => {
        this.writes(socket, String(message))
        return socket.send(message)
      },
      ping: (payload) => socket.ping(payload),
      pause: () => socket.pause(),
      resume: () => socket.resume(),
      close: (code, reason) => {
        this.closing.set(socket, this.world.now)
        socket.close(code, reason)
      },
      destroy: () => {
        this.closing.delete(socket)
        if (this.setting.lingers) this.world.fork(Effect.sync(() => socket.destroy()))
        else socket.destroy()
      }
    }
  }

  // Those who ask

  ask(step: { readonly wish: Wish; readonly bytes: number; readonly patience: number }): void {
    this.tokens += 1
    const asker: Asker = {
      token: this.tokens,
      mode: "ask",
      fiber: undefined,
      socket: undefined,
      since: 0,
      isFirst: false,
      hasEnded: false,
      interruptedAt: undefined,
      wasAnswered: false
    }
    this.askers.set(String(asker.token), asker)
    this.line.push(asker)
    this.users.push(asker)
    const asked = Effect.onExit(this.pool.ask(`${asker.token}|${step.wish}|${"x".repeat(step.bytes)}`), (exit) =>
      Effect.sync(() => this.answered(asker, exit))
    )
    asker.fiber = this.world.fork(Effect.timeoutOption(asked, Duration.millis(step.patience)))
    asker.fiber.addObserver((exit) => {
      this.users = this.users.filter((one) => one !== asker)
      this.line = this.line.filter((one) => one !== asker)
      // Interrupted before it began.
      asker.hasEnded = true
      if (Exit.isFailure(exit)) this.judge(exit.cause)
    })
  }

  /** Something is written. */
  writes(socket: WebSocketTransport.TransportSocket, message: string): void {
    const since = this.abandoned.get(socket)
    if (since !== undefined) this.fail(`${message} is written where a reply was given up at ${since} ms`)
    const asker = this.askers.get(message.split("|")[0] ?? "")
    const isFirst = !this.written.has(socket)
    this.written.add(socket)
    if (asker === undefined) return
    if (asker.socket !== undefined) this.fail(`${message} is written twice`)
    const isLate = asker.interruptedAt !== undefined
    if (isLate && this.setting.yields === 0) this.fail(`${message} is written though its asker was interrupted`)
    asker.socket = socket
    asker.since = this.arrived
    asker.isFirst = isFirst
    this.leases += 1
    // One that has waited for room had its turn before.
    if (!this.setting.narrow) this.served(asker)
    this.line = this.line.filter((one) => one !== asker)
  }

  answered(asker: Asker, exit: Exit.Exit<WebSocketTransport.Message, unknown>): void {
    asker.hasEnded = true
    const { isFirst, since, socket, token } = asker
    if (Exit.isFailure(exit)) {
      if (!Exit.hasInterrupts(exit)) return
      asker.interruptedAt = this.world.now
      // Unless it has come already. What was there before the first lease of a connection is a reply, too.
      if (socket === undefined) return
      asker.wasAnswered = (this.arrivedAt.get(socket) ?? 0) > since || (isFirst && this.arrivedAt.has(socket))
      if (!asker.wasAnswered && this.setting.discards) this.abandoned.set(socket, this.world.now)
      return
    }
    const message = String(exit.value)
    this.delivered += 1
    const arrival = this.arrivals.get(message)
    if (arrival === undefined) this.fail(`a message that nobody sent: ${message}`)
    this.arrivals.delete(message)
    if (this.arrivedOn.get(message) !== socket) this.fail(`${token} got ${message}, which came on another socket`)
    if (message.startsWith("greeting")) {
      if (!isFirst) this.fail(`${token} got ${message}, and was not the first to write there`)
    } else if (arrival <= since && !isFirst && !this.setting.narrow) {
      this.fail(`${token} got ${message}, which came before it was written`)
    }
  }

  /** How many may hold a connection, or a place in line: those that go on, and those whose interruption need not be known yet. */
  get asking(): number {
    let count = 0
    for (const { hasEnded, interruptedAt } of this.askers.values()) {
      const isKnown = interruptedAt === undefined || this.world.now - interruptedAt > sweepInterval - 0.001
      if (!hasEnded || !isKnown) count += 1
    }
    return count
  }

  // The holders of leases

  receive(connection: WebSocketConnection, user: User, since: number): Effect.Effect<void, PoolError.ConnectionError> {
    // Not with `map`: a fiber may yield, and be interrupted, between what it maps and the function.
    return Effect.flatMap(connection.receive, (message) => {
      this.got(connection, user, since, String(message))
      return Effect.void
    })
  }

  got(connection: WebSocketConnection, user: User, since: number, message: string): void {
    this.delivered += 1
    const arrival = this.arrivals.get(message)
    if (arrival === undefined) this.fail(`a message that nobody sent: ${message}`)
    this.arrivals.delete(message)
    if (this.leasesOf.get(connection.id) === 1) return
    const before = this.setting.yields === 0 ? since : (this.endedAt.get(connection.id) ?? 0)
    if (arrival <= before)
      this.fail(`lease ${user.token} of ${connection.id} got ${message}, which came before it began`)
  }

  act(
    connection: WebSocketConnection,
    user: User,
    since: number,
    act: Act
  ): Effect.Effect<unknown, PoolError.ConnectionError> {
    const patiently = <A, E>(effect: Effect.Effect<A, E>, patience: number) =>
      Effect.timeoutOption(effect, Duration.millis(patience))
    const message = (wish: Wish, bytes = 0) => `${user.token}|${wish}|${"x".repeat(bytes)}`
    switch (act.do) {
      case "request":
        return Effect.andThen(
          patiently(connection.send(message(act.wish)), act.patience),
          patiently(this.receive(connection, user, since), act.patience)
        )
      case "send":
        return patiently(connection.send(message(act.wish, act.bytes)), 1000)
      case "receive":
        return patiently(
          act.all
            ? Effect.flatMap(connection.receiveChunk, (messages) => {
                for (const one of messages) this.got(connection, user, since, String(one))
                return Effect.void
              })
            : this.receive(connection, user, since),
          act.patience
        )
      case "stream":
        return patiently(
          connection.messages.pipe(
            Stream.take(act.count),
            Stream.runForEach((one) => Effect.sync(() => this.got(connection, user, since, String(one))))
          ),
          act.patience
        )
      case "ping":
        return connection.ping
      case "discard":
        return connection.discard
      case "close":
        return connection.close(4001, "done")
      case "hold":
        return Effect.sleep(Duration.millis(act.millis))
      case "heed":
        return Effect.suspend(() => {
          this.heeding.add(connection)
          return Effect.map(patiently(connection.retiring, act.millis), (reason) => {
            if (reason._tag === "Some") this.retires(connection, reason.value)
          })
        }).pipe(Effect.ensuring(Effect.sync(() => this.heeding.delete(connection))))
    }
  }

  /** Connections of which the event has told that they retire. */
  retired = new Set<string>()

  /** Those whose holders wait for them to retire. */
  heeding = new Set<WebSocketConnection>()

  retires({ id, info }: WebSocketConnection, reason: PoolEvent.CloseReason): void {
    const { isRetiring, state } = Effect.runSync(info)
    // It may have been lost, or found room, in the same moment.
    if (!isRetiring && state === "busy" && reason !== "Evicted") this.fail(`${id} retires, and does not say so`)
    if (reason !== "Evicted") this.unfit.add(id)
  }

  hold(user: User, step: Extract<Step, { step: "lease" }>) {
    return (connection: WebSocketConnection): Effect.Effect<void, unknown> =>
      Effect.uninterruptibleMask((restore) => {
        const { id } = connection
        const other = this.holders.get(id)
        if (other !== undefined) this.fail(`${id} is leased to ${other.token} and ${user.token}`)
        if (this.unfit.has(id)) this.fail(`${id} was to be discarded, and is leased to ${user.token}`)
        const { drain } = this.setting
        const quiet = this.world.now - (this.quietSince.get(id) ?? Number.NEGATIVE_INFINITY)
        if ((drain === "quiet" || drain === "picky") && quiet < 50 - 1e-6) {
          this.fail(`${id} is leased ${quiet} ms after a lease, and had to be quiet for 50`)
        }
        this.served(user)
        this.holders.set(id, user)
        this.connections.set(id, connection)
        this.leases += 1
        const count = (this.leasesOf.get(id) ?? 0) + 1
        this.leasesOf.set(id, count)
        if (count > 1 && step.mode.endsWith("New")) this.fail(`${step.mode} got ${id}, which is not new`)
        const since = this.arrived
        const acts = Effect.forEach(step.acts, (act) => this.act(connection, user, since, act), { discard: true })
        return restore(Effect.andThen(acts, step.end === "fail" ? Effect.fail("as told") : Effect.void)).pipe(
          Effect.onExit((exit) =>
            Effect.sync(() => {
              const discarded = step.acts.some((act) => act.do === "discard") && Exit.isSuccess(exit)
              if (discarded || (this.setting.discards && Exit.isFailure(exit))) this.unfit.add(id)
              this.holders.delete(id)
              this.connections.delete(id)
              this.endedAt.set(id, this.arrived)
              this.quietSince.set(id, this.world.now)
            })
          )
        )
      })
  }

  /** First come, first served: nobody who wants the same has waited longer. */
  served(user: User): void {
    const { validates } = this.setting
    const overtaker = this.overtaken.get(user)
    if (overtaker !== undefined) this.fail(`${overtaker.token} was served before ${user.token}`)
    const place = this.line.indexOf(user)
    const earlier = this.line.slice(0, Math.max(place, 0)).find(({ mode }) => mode === user.mode)
    // A validation that fails costs its waiter the turn, and a waiter that yields may be late to say so.
    if (
      earlier !== undefined &&
      !validates &&
      this.setting.yields === 0 &&
      !user.mode.endsWith("New") &&
      this.mood !== "slams"
    ) {
      // An ask is served in the very step in which the pool lets it, before those who have just failed can say so.
      if (user.mode === "ask") this.overtaken.set(earlier, user)
      else this.fail(`${user.token} was served before ${earlier.token}`)
    }
    if (place >= 0) this.line.splice(place, 1)
  }

  lease(step: Extract<Step, { step: "lease" }>): void {
    this.tokens += 1
    const user: User = { token: this.tokens, mode: step.mode, fiber: undefined }
    const hold = this.hold(user, step)
    const effect =
      step.mode === "get" || step.mode === "getNew"
        ? Effect.scoped(Effect.flatMap(this.pool[step.mode], hold))
        : this.pool[step.mode](hold)
    this.line.push(user)
    this.users.push(user)
    user.fiber = this.world.fork(effect)
    user.fiber.addObserver((exit) => {
      this.users = this.users.filter((one) => one !== user)
      this.line = this.line.filter((one) => one !== user)
      if (Exit.isFailure(exit)) this.judge(exit.cause)
    })
  }

  /** A holder may fail and be interrupted; it must not die, and pools fail with their own errors only. */
  judge(cause: Cause.Cause<unknown>): void {
    for (const defect of defectsOf(cause)) {
      this.violation ??= defect instanceof Violation ? defect : new Violation(`an operation died: ${String(defect)}`)
    }
    for (const error of failuresOf(cause)) {
      if (error !== "as told" && !PoolError.isPoolError(error)) {
        this.violation ??= new Violation(`an operation failed with ${String(error)}`)
      }
    }
  }

  // Steps and checks

  interruptLater(user: User | undefined, turns: number): void {
    const interrupt = Effect.sync(() => interruptNow(user?.fiber))
    this.world.fork(Effect.andThen(repeated(Effect.yieldNow, turns), interrupt))
  }

  step(step: Step): void {
    switch (step.step) {
      case "lease":
        this.lease(step)
        return
      case "ask":
        this.ask(step)
        return
      case "raceAsk": {
        for (let n = 0; n < 3; n++) this.ask({ wish: "echo", bytes: 0, patience: 5000 })
        const askers = Array.from(this.askers.values()).slice(-3)
        this.interruptLater(pick(askers, step.who), step.turns)
        return
      }
      case "interrupt": {
        const user = pick(this.users, step.who)
        if (user?.fiber !== undefined) this.world.fork(Effect.forkDetach(Fiber.interrupt(user.fiber)))
        return
      }
      case "cross": {
        const { maxConnections } = this.stats()
        for (let n = 0; n <= maxConnections; n++) {
          this.lease({ step: "lease", mode: "use", acts: [{ do: "hold", millis: 50 }], end: "succeed" })
        }
        this.world.settle()
        const first = pick(Array.from(this.holders.values()), step.who)
        const second = pick(this.line.slice(0, 2), step.other)
        interruptNow(first?.fiber)
        this.interruptLater(second, step.turns)
        return
      }
      case "race": {
        this.lease({
          step: "lease",
          mode: "use",
          acts: [{ do: "receive", patience: 5000, all: false }],
          end: "succeed"
        })
        this.world.settle()
        for (const { isOpen, peer } of this.peers) {
          if (isOpen) this.world.fork(Effect.ignore(Effect.suspend(() => peer.send(this.text("push", "-")))))
        }
        const holders = Array.from(this.holders.values())
        this.interruptLater(step.who % 2 === 0 ? holders.at(-1) : pick(holders, step.who), step.turns)
        return
      }
      case "wait":
        this.world.advance(step.millis)
        return
      case "server":
        this.mood = step.mood
        return
      case "peer": {
        this.peers = this.peers.filter((one) => one.isOpen)
        const one = pick(this.peers, step.who)
        if (one === undefined) return
        const deed = {
          push: () => Effect.ignore(one.peer.send(this.text("push", "-"))),
          close: () => one.peer.close(1001, "going"),
          destroy: () => one.peer.destroy,
          silence: () => one.peer.silence
        }[step.deed]
        this.world.fork(deed())
        return
      }
      case "resize": {
        const max = Math.max(step.min, step.max)
        this.allowed = Math.max(max, this.alive, this.stats().total)
        this.world.fork(Effect.ignore(this.pool.resize({ minConnections: step.min, maxConnections: max })))
        return
      }
      case "refresh":
        this.world.fork(this.pool.refresh)
        return
      case "close":
        this.world.fork(this.pool.close)
        return
      case "closeFromHook":
        this.hooksLeft = step.hooks
        return
    }
  }

  /** Holders of connections that are there: a lease whose socket is gone takes no place. */
  get present(): number {
    const states = Array.from(this.connections.values(), ({ info }) => Effect.runSync(info).state)
    return states.filter((state) => state !== "closed").length
  }

  /** How many hooks are left to run before one closes the pool, if one shall. */
  private hooksLeft: number | undefined = undefined

  hook(): void {
    if (this.hooksLeft === undefined) return
    this.hooksLeft -= 1
    if (this.hooksLeft >= 0) return
    this.hooksLeft = undefined
    this.world.fork(this.pool.close)
  }

  stats(): WebSocketPool.PoolStats {
    return Effect.runSync(this.pool.stats)
  }

  check(): void {
    if (this.violation !== undefined) throw this.violation
    const stats = this.stats()
    const { busy, closing, connecting, draining, idle, maxConnections, total, waiting } = stats
    if (total !== idle + busy + draining + connecting + closing) this.fail(`total is not the sum: ${show(stats)}`)
    if (Object.values(stats).some((n) => typeof n === "number" && n < 0)) this.fail(`a negative count: ${show(stats)}`)
    if (total > Math.max(this.allowed, maxConnections)) this.fail(`${total} slots, ${this.allowed} allowed`)
    if (total < this.alive) this.fail(`${this.alive} sockets, ${total} counted`)
    if (total <= maxConnections) this.allowed = maxConnections
    const { present } = this
    if (stats.state === "open" && present > busy) this.fail(`${present} holders, ${busy} busy`)
    for (const [socket, since] of this.closing) {
      if (!this.open.has(socket)) this.closing.delete(socket)
      else if (this.world.now - since > closeTimeout + 0.001) this.fail("a closing handshake takes longer than it may")
    }
    const { healthCheck, validates, yields } = this.setting
    for (const { id, info } of this.heeding) {
      if (yields === 0 && Effect.runSync(info).isRetiring) this.fail(`${id} retires, and its holder was not told`)
    }
    const isExact = stats.state === "open" && !healthCheck && !validates && yields === 0
    const { asking } = this
    if (isExact && (busy < present || busy > present + asking)) {
      this.fail(`${busy} busy, ${present} holders, ${asking} who ask`)
    }
    if (yields === 0 && waiting > this.line.length + asking) {
      this.fail(`${waiting} wait, ${this.line.length} in line, ${asking} who ask`)
    }
    if (stats.state === "open") {
      const covered = connecting + closing + busy
      if (waiting > 0 && idle > 0 && waiting > covered) this.fail(`somebody waits while one is idle: ${show(stats)}`)
      if (waiting > connecting + closing + busy + draining && total < maxConnections) {
        this.fail(`somebody waits while there is room: ${show(stats)}`)
      }
    }
    if (stats.state !== "open" && waiting > 0) this.fail(`somebody waits for a closed pool: ${show(stats)}`)
  }

  /** Whether anything has happened that the pool waits after, before it replaces what is missing. */
  isTroubled = false

  /** What the pool itself, or a holder, has ended is replaced at once. */
  checkUpkeep(): void {
    if (this.isTroubled || this.mood !== "open" || this.setting.yields > 0) return
    const { busy, closing, connecting, draining, idle, maxConnections, minConnections, state, total } = this.stats()
    // Why one is closing is told when it has closed.
    if (state !== "open" || total >= maxConnections || closing > 0) return
    const kept = busy + connecting + draining + idle
    if (kept < minConnections) this.fail(`${kept} connections, and ${minConnections} to be kept`)
  }

  counted(event: PoolEvent.PoolEvent): void {
    if (event._tag === "ConnectFailed" || event._tag === "PoolClosing") this.isTroubled = true
    if (event._tag === "ConnectionClosed") {
      const isRenewal = ["Expired", "Refreshed", "Evicted", "Discarded", "Closed"].includes(event.reason)
      if (!isRenewal || Duration.toMillis(event.age) < 1_100) this.isTroubled = true
    }
    if (event._tag === "ConnectionRetiring") {
      if (this.retired.has(event.connectionId)) this.fail(`${event.connectionId} was told twice to retire`)
      this.retired.add(event.connectionId)
    }
    this.counts.set(event._tag, (this.counts.get(event._tag) ?? 0) + 1)
  }

  agree(): void {
    for (const [tag, count] of counters(this.stats())) {
      const seen = this.counts.get(tag) ?? 0
      if (seen !== count) this.fail(`${seen} events ${tag}, ${count} counted`)
    }
  }
}

/** The counters for which there are events, by the tags of these. */
const counters = (stats: WebSocketPool.PoolStats): Map<string, number> =>
  new Map([
    ["ConnectionOpened", stats.opened],
    ["ConnectionClosed", stats.closed],
    ["ConnectFailed", stats.connectFailures],
    ["Acquired", stats.acquired],
    ["Released", stats.released],
    ["Exhausted", stats.exhausted],
    ["MessageDropped", stats.messagesDropped]
  ])

const isStream = (act: Act): boolean => act.do === "stream"

const pick = <A>(from: ReadonlyArray<A>, which: number): A | undefined => from[which % Math.max(from.length, 1)]

const show = (stats: WebSocketPool.PoolStats): string => JSON.stringify(stats)

/** A hook that works, or fails now and then, or closes its connection: then that must not be leased again. */
const hook =
  (simulation: Simulation) =>
  (connection: WebSocketConnection): Effect.Effect<unknown, unknown> =>
    Effect.suspend((): Effect.Effect<unknown, unknown> => {
      simulation.hook()
      if (!simulation.world.chance(0.1)) return connection.ping
      simulation.unfit.add(connection.id)
      return simulation.world.chance(0.5) ? Effect.fail("as told") : connection.close()
    })

/** Header fields, computed for each attempt; that may fail, and an attempt be made again. */
const headers = (simulation: Simulation): Effect.Effect<WebSocketPool.HeadersInput, string> =>
  Effect.suspend(() => {
    // Not before somebody can see it fail.
    if (simulation.pool !== undefined && simulation.world.chance(0.3)) return Effect.fail("no token yet")
    simulation.hook()
    const value = { authorization: "Bearer 1" }
    return simulation.world.chance(0.5) ? Effect.succeed(value) : Effect.delay(Effect.succeed(value), 1)
  })

const options = (simulation: Simulation): WebSocketPool.Options => ({
  ...optionsOf(simulation.setting, hook(simulation)),
  ...(simulation.setting.computes ? { headers: headers(simulation) } : {})
})

const optionsOf = (setting: Setting, hook: WebSocketPool.Options["onRelease"]): WebSocketPool.Options => ({
  url: "ws://simulated",
  minConnections: Math.min(setting.min, setting.max),
  maxConnections: setting.max,
  maxWaiters: setting.maxWaiters,
  drain: {
    off: undefined,
    now: { quietPeriod: 0 },
    quiet: { quietPeriod: 50, timeout: 2000 },
    picky: { quietPeriod: 50, timeout: 2000, condition: (message: unknown) => !String(message).startsWith("push") }
  }[setting.drain],
  validateAfterIdle: setting.validates ? 1000 : Duration.infinity,
  healthCheck: setting.healthCheck ? hook : undefined,
  onConnect: setting.onConnect ? () => Effect.sleep(1) : undefined,
  onRelease: setting.onRelease ? hook : undefined,
  discardOn: setting.discards ? undefined : () => false,
  receiveBuffer: setting.narrow ? 200 : undefined,
  sendBuffer: setting.narrow ? 200 : undefined,
  idleTimeout: setting.idleTimeout,
  connectionTTL: setting.connectionTTL ?? Duration.infinity,
  acquireTimeout: setting.acquireTimeout,
  connectTimeout: 4000,
  pingInterval: 5000,
  pingTimeout: 2000,
  shutdownTimeout,
  closeTimeout
})

/** Runs a program against the real pool. Throws a `Violation` where a promise is broken. */
export const simulate = (program: Program): Tally => {
  const simulation = new Simulation(program.setting)
  return simulation.world.run(() => play(simulation, program))
}

const play = (simulation: Simulation, { setting, steps }: Program): Tally => {
  const { world } = simulation
  const before = liveFibers()

  const wireScope = Effect.runSync(Scope.make())
  const poolScope = Effect.runSync(Scope.make())
  let wire: Context.Context<WebSocketTransport.WebSocketTransport> | undefined
  world.fork(
    quietly(Layer.buildWithScope(simulation.transport, wireScope)).pipe(
      Effect.tap((context) =>
        Effect.sync(() => {
          wire = context
        })
      )
    )
  )
  world.settle()
  const made = world.fork(
    quietly(WebSocketPool.make(options(simulation))).pipe(
      Scope.provide(poolScope),
      Effect.provide(wire!),
      Effect.tap((pool) =>
        Effect.sync(() => {
          simulation.pool = pool
        })
      )
    )
  )
  // Nothing happens between the counts and the first event.
  world.settle()
  world.fork(
    Effect.flatMap(Fiber.join(made), (pool) =>
      Effect.suspend(() => {
        // What has happened before anybody could listen.
        simulation.counts = counters(simulation.stats())
        return Stream.runForEach(pool.events, (event) => Effect.sync(() => simulation.counted(event)))
      })
    ).pipe(Effect.ignore)
  )
  world.settle()

  for (const step of steps) {
    simulation.step(step)
    world.settle()
    simulation.check()
    world.onSettled = () => simulation.checkUpkeep()
  }
  if (setting.yields === 0 && simulation.stats().state === "open") simulation.agree()

  world.onSettled = () => {}

  // The end: the pool is gone in time, whatever the others do.
  const closing = world.fork(
    Effect.andThen(
      Scope.close(poolScope, Exit.void),
      Effect.sync(() => {
        if (simulation.alive > 0)
          simulation.violation ??= new Violation(`closed, and ${simulation.alive} sockets are left`)
      })
    )
  )
  world.settle()
  const isEmpty = simulation.stats().total === 0
  if (isEmpty && poll(closing) === undefined) simulation.fail("empty, and not closed at once")
  // Durations are whole nanoseconds, sums of jittered ones are not.
  world.advance(shutdownTimeout + 0.001)
  const { busy } = simulation.stats()
  if (busy > 0) simulation.fail(`${busy} leases go on after shutdownTimeout`)
  world.advance(closeTimeout)
  if (simulation.violation !== undefined) throw simulation.violation
  if (poll(closing) === undefined) simulation.fail(`not closed in time: ${show(simulation.stats())}`)
  if (simulation.alive > 0) simulation.fail(`${simulation.alive} sockets are left`)
  simulation.check()
  const last = simulation.stats()
  if (last.total !== 0 || last.state !== "closed") simulation.fail(`not empty after closing: ${show(last)}`)
  if (last.opened !== last.closed) simulation.fail(`opened and closed differ: ${show(last)}`)

  for (const { fiber } of [...simulation.users])
    if (fiber !== undefined) world.fork(Effect.forkDetach(Fiber.interrupt(fiber)))
  world.advance(0)
  if (simulation.violation !== undefined) throw simulation.violation
  if (simulation.users.length > 0) simulation.fail(`${simulation.users.length} holders cannot be interrupted`)
  const end = simulation.stats()
  if (end.acquired !== end.released) simulation.fail(`acquired and released differ: ${show(end)}`)
  // One that was not written may have had a lease, and waited for room.
  const askers = Array.from(simulation.askers.values())
  const unwritten = askers.filter(({ socket }) => socket === undefined).length
  const isCounted = end.acquired >= simulation.leases && end.acquired <= simulation.leases + unwritten
  if (!isCounted && setting.yields === 0) {
    simulation.fail(`${simulation.leases} leases, and ${unwritten} asks that were not written, ${end.acquired} counted`)
  }
  const given = simulation.delivered + end.messagesDropped
  // A consumer of the stream that is interrupted between two steps may have pulled a message already.
  const mayPull = setting.yields > 0 && steps.some((step) => step.step === "lease" && step.acts.some(isStream))
  // A fiber that is interrupted just when it is given its reply takes it to its end.
  const lost = askers.filter(({ wasAnswered }) => wasAnswered).length
  const least = mayPull ? 0 : simulation.arrived - lost
  if (given > simulation.arrived || given < least) {
    simulation.fail(`${simulation.arrived} messages arrived, ${given} were delivered or counted as dropped`)
  }

  world.fork(Scope.close(wireScope, Exit.void))
  world.settle()
  // Effect's own `timeout`, with which holders wait, may leave a sleeper behind when fibers yield within it.
  const isExact = setting.yields === 0
  if (isExact && world.sleeping > 0) simulation.fail(`${world.sleeping} timers are left`)
  const after = liveFibers()
  if (isExact && after > before) simulation.fail(`${after - before} fibers are left`)
  return {
    leases: simulation.leases,
    asks: askers.length,
    messages: simulation.arrived,
    sockets: simulation.opened,
    seconds: world.now / 1000
  }
}

import { Multiplexer, WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
import * as Duration from "#effect/Duration"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import type * as Fiber from "#effect/Fiber"
import * as Scope from "#effect/Scope"
import * as Stream from "#effect/Stream"
import { defectsOf, failuresOf, interruptNow, liveFibers, poll, quietly, repeated } from "#support/fibers"
import type { WideCodec } from "../../src/requests/api.js"
import type { Aside } from "../../src/requests/incoming.js"
import { makeWide } from "../../src/requests/multiplexer.js"
import { type HandSocket, makeTransport } from "../support/handTransport.js"
import { type Call, type Failure, Line, Model } from "./requestsModel.js"
import type { Answer, Deed, Mood, Program, Setting, Step } from "./requestsProgram.js"
import { Tasks } from "./requestsTasks.js"
import { Violation, World } from "./world.js"

const { End, Item, Notice, Refused, Retire } = Multiplexer.Incoming

const shutdownTimeout = 1000
const closeTimeout = 500
const sendBuffer = 10

/** What a run has seen. */
export type Tally = {
  readonly requests: number
  readonly answers: number
  readonly tasks: number
  readonly sockets: number
  readonly seconds: number
}

/** `7 + text`: an item. `7 = text`: the answer. `7 .`: the end. `7 ! text`: a failure. `task 7`. Several, by commas. */
const decode =
  (heard: (number: number) => Aside) =>
  (message: WebSocketTransport.Message): ReadonlyArray<Multiplexer.Incoming<string, string> | Aside> =>
    String(message)
      .split(",")
      .map((text) => {
        const [first = "", kind, value = ""] = text.split(" ")
        const id = Number(first)
        if (first === "task") return heard(Number(kind))
        if (kind === "+") return Item({ id, value })
        if (kind === "=") return End({ id, exit: Exit.succeed(value) })
        if (kind === ".") return End({ id, exit: Exit.void })
        if (kind === "!") return End({ id, exit: Exit.fail(value) })
        if (first === "refused") return Refused({ error: "refused" })
        if (first === "notice") return Notice({ value: text })
        if (first === "ask") return Notice({ value: text, reply: "reply" })
        if (first === "retire") return Retire()
        throw new Error("nonsense")
      })

const codecOf =
  ({ cancels, credits }: Setting, tasks: Tasks) =>
  (connection: object): WideCodec<string, string, string> => {
    tasks.lends(connection)
    return {
      encode: (id, request) => {
        if (request === "bad") throw new Error("as told")
        return `${id} ${request}`
      },
      decode: decode((number) => tasks.heard(number, connection)),
      ...(cancels ? { cancel: (id: number) => `${id} cancel` } : {}),
      ...(credits ? { ack: (id: number) => `${id} ack` } : {})
    }
  }

type Lines = Multiplexer.Multiplexer<string, string, string>

class Simulation {
  readonly world: World
  readonly model: Model
  readonly tasks: Tasks
  readonly transport: ReturnType<typeof makeTransport>
  mood: Mood = "open"
  readonly lines = new Map<HandSocket, Line>()
  readonly fibers = new Map<Call, Fiber.Fiber<unknown, unknown>>()
  answers = 0
  pins = 0
  pool!: WebSocketPool.WebSocketPool
  multiplexer!: Lines
  readonly poolScope = Effect.runSync(Scope.make())
  readonly scope = Effect.runSync(Scope.make())
  closing: Fiber.Fiber<unknown, unknown> | undefined

  constructor(readonly setting: Setting) {
    this.world = new World(setting.seed, setting.yields)
    this.model = new Model(setting, this.world)
    this.tasks = new Tasks(this.model)
    this.transport = makeTransport({
      connect: () => this.accept(),
      onOpened: (socket) => this.opened(socket),
      onPing: (socket) => this.later(() => !socket.isGone && socket.pong()),
      onClose: (socket) => {
        this.lineOf(socket).isOver = true
        this.later(() => socket.lose(socket.closes[0]))
      }
    })
  }

  get fail() {
    return this.model.fail
  }

  private later(f: () => void): void {
    this.world.fork(Effect.sync(f))
  }

  // The server

  private accept(): Effect.Effect<void, WebSocketTransport.TransportError> {
    return Effect.suspend((): Effect.Effect<void, WebSocketTransport.TransportError> => {
      switch (this.mood) {
        case "open":
        case "slams":
          return Effect.void
        case "slow":
          return Effect.sleep(this.world.int(3000))
        case "hangs":
          return Effect.never
        case "refuses":
          return Effect.delay(Effect.fail(refusal), 10)
      }
    })
  }

  private opened(socket: HandSocket): void {
    const line = new Line(this.lines.size + 1, this.setting, this.fail)
    this.lines.set(socket, line)
    const send = socket.send.bind(socket)
    socket.send = (message) => {
      this.hears(line, String(message))
      return send(message)
    }
    if (this.mood !== "slams") return
    this.model.hasSlammed = true
    this.lose(socket, 4000)
  }

  lineOf(socket: HandSocket): Line {
    return this.lines.get(socket)!
  }

  private hears(line: Line, message: string): void {
    const [first, what] = message.split(" ")
    if (first === "reply" || what === "ack") return
    if (first === "did") {
      this.tasks.tells(line, Number(what))
      return
    }
    if (what === "cancel") {
      line.cancels(Number(first))
      return
    }
    const call = Array.from(this.model.calls).find(({ token }) => String(token) === what)
    if (call === undefined) throw this.fail(`${message} is sent after its end`)
    if (call.isInterrupted && this.setting.yields === 0) this.fail(`${message} is sent though it was interrupted`)
    line.writes(Number(first), call)
    this.model.served(call)
  }

  lose(socket: HandSocket, code: number): void {
    if (socket.isGone) return
    this.lineOf(socket).isOver = true
    socket.lose(code)
  }

  get live(): ReadonlyArray<HandSocket> {
    return this.transport.sockets.filter(({ isGone, isOpen }) => isOpen && !isGone)
  }

  /** What the server can answer. */
  get unanswered(): ReadonlyArray<{ readonly socket: HandSocket; readonly id: number; readonly call: Call }> {
    return this.live.flatMap((socket) => this.lineOf(socket).unanswered.map(([id, call]) => ({ socket, id, call })))
  }

  /** The text of an answer. */
  private write(socket: HandSocket, id: number, call: Call, how: Answer): string {
    const isLast = how !== "item" || !call.isStream
    if (isLast) {
      this.lineOf(socket).answers(id)
      call.hasBeenAnswered = true
      this.answers += 1
    }
    // What belongs to no stream has to hold something.
    const kind = how === "end" && !call.isStream ? "answer" : how
    if (kind === "end") return `${id} .`
    if (kind === "fail") return `${id} ! ${call.token}#failed`
    call.sent += 1
    return `${id} ${kind === "item" ? "+" : "="} ${call.token}#${call.sent}`
  }

  answer(whom: ReadonlyArray<number>, how: Answer): void {
    const texts = new Map<HandSocket, Array<string>>()
    for (const which of whom) {
      const one = pick(this.unanswered, which)
      if (one === undefined) continue
      const all = texts.get(one.socket) ?? []
      texts.set(one.socket, all)
      all.push(this.write(one.socket, one.id, one.call, how))
    }
    for (const [socket, all] of texts) socket.message(all.join(","))
  }

  deed(socket: HandSocket, deed: Deed): void {
    const line = this.lineOf(socket)
    const retires = (): void => {
      this.model.moment += 1
      line.retires(this.world.now, this.model.moment)
    }
    switch (deed) {
      case "drop":
        this.lose(socket, 1006)
        return
      case "close":
        this.lose(socket, 1001)
        return
      case "refuse":
        line.refused += 1
        retires()
        socket.message("refused")
        return
      case "retire":
        socket.message("retire")
        retires()
        return
      case "nonsense":
        socket.message("nonsense")
        return
      case "ask":
        line.isAsked = true
        socket.message(deed)
        return
      case "notice":
        socket.message(deed)
        return
      case "clog":
        if (this.setting.narrow) socket.bufferedAmount = sendBuffer + 1
        return
      case "flush":
        socket.bufferedAmount = 0
        socket.events.onFlush()
    }
  }

  // Those who ask

  private track(call: Call, run: Effect.Effect<boolean, unknown>, patience: number | undefined): void {
    const judged = Effect.onExit(run, (exit) => Effect.sync(() => this.judge(call, exit)))
    const bounded: Effect.Effect<unknown, unknown> =
      patience === undefined ? judged : Effect.timeoutOption(judged, Duration.millis(patience))
    // Effect 4 begins within the call.
    if (call.kind === "shared") this.model.most = Math.max(this.model.most, this.usage + 1)
    const fiber = this.world.fork(bounded)
    this.fibers.set(call, fiber)
    fiber.addObserver(() => {
      this.fibers.delete(call)
      // It was interrupted before it began.
      if (!call.hasEnded) this.model.ends(call)
    })
  }

  /** Those that take places on shared connections, or wait for one. */
  private get usage(): number {
    let count = 0
    for (const [call] of this.fibers) if (call.kind === "shared") count += 1
    return count + Effect.runSync(this.multiplexer.stats).abandoned
  }

  request(lines: Lines, kind: Call["kind"], patience: number | undefined, isBad = false): void {
    const call = this.model.begins(kind, false, isBad)
    const run = Effect.map(lines.request(isBad ? "bad" : String(call.token)), (value) => {
      this.model.takes(call, value)
      return true
    })
    this.track(call, run, patience)
  }

  stream({ exclusive, pace, take }: Extract<Step, { step: "stream" }>): void {
    const call = this.model.begins(exclusive ? "exclusive" : "shared", true)
    const items = Stream.take(this.multiplexer.stream(String(call.token), { exclusive }), take)
    const run = Stream.runForEach(items, (value) => {
      this.model.takes(call, value)
      return pace === 0 ? Effect.void : Effect.sleep(pace)
    })
    this.track(
      call,
      Effect.map(run, () => call.taken < take),
      undefined
    )
  }

  pinned({ count, millis }: Extract<Step, { step: "pinned" }>): void {
    this.pins += 1
    const run = Effect.flatMap(this.multiplexer.pinned, (lines) => {
      for (let n = 0; n < count; n++) this.request(lines, "pinned", undefined)
      return Effect.sleep(millis)
    })
    const fiber = this.world.fork(Effect.ignore(Effect.scoped(run)))
    fiber.addObserver(() => {
      this.pins -= 1
    })
  }

  /** A call succeeds with whether it has seen its end. */
  private judge(call: Call, exit: Exit.Exit<boolean, unknown>): void {
    if (Exit.isSuccess(exit)) {
      this.model.succeeded(call, exit.value)
      return
    }
    const [defect] = defectsOf(exit.cause)
    if (defect instanceof Violation) throw defect
    if (defect !== undefined) this.fail(`${call.token} died: ${defect}`)
    const [error] = failuresOf(exit.cause)
    if (error !== undefined) {
      this.model.failed(call, typeof error === "string" ? { text: error } : named(error as Failure))
      return
    }
    call.isInterrupted = true
    this.model.ends(call)
  }

  interrupt(call: Call | undefined, turns: number): void {
    const fiber = call && this.fibers.get(call)
    if (fiber === undefined) return
    this.world.fork(
      Effect.andThen(
        repeated(Effect.yieldNow, turns),
        Effect.sync(() => interruptNow(fiber))
      )
    )
  }

  // Steps

  step(step: Step): void {
    switch (step.step) {
      case "request":
        for (let n = 0; n < step.count; n++) this.request(this.multiplexer, "shared", step.patience)
        return
      case "bad":
        this.request(this.multiplexer, "shared", undefined, true)
        return
      case "stream":
        this.stream(step)
        return
      case "pinned":
        this.pinned(step)
        return
      case "interrupt":
        this.interrupt(pick(Array.from(this.fibers.keys()), step.who), step.turns)
        return
      case "answer":
        this.answer(step.whom, step.how)
        return
      case "answerAll":
        this.answerAll()
        return
      case "cross": {
        const one = pick(this.unanswered, step.who)
        if (one === undefined) return
        one.socket.message(this.write(one.socket, one.id, one.call, "answer"))
        this.interrupt(one.call, step.turns)
        return
      }
      case "stray": {
        const socket = pick(this.live, step.which)
        if (socket === undefined || this.lineOf(socket).unanswered.some(([id]) => id === step.id)) return
        // What waits for room may have that id, which no server can know.
        if (socket.bufferedAmount > sendBuffer) return
        socket.message(`${step.id} = 0#0`)
        return
      }
      case "peer": {
        const socket = pick(this.live, step.which)
        if (socket !== undefined) this.deed(socket, step.deed)
        return
      }
      case "task": {
        const socket = pick(this.live, step.which)
        for (let n = 0; socket !== undefined && n < step.count; n++) {
          this.lineOf(socket).isAsked = true
          socket.message(this.tasks.ask(this.lineOf(socket), socket, step.millis))
        }
        return
      }
      case "server":
        this.mood = step.mood
        return
      case "wait":
        this.world.advance(step.millis)
        return
      case "refresh":
        this.refresh()
        return
      case "resize": {
        const max = Math.max(step.min, step.max)
        this.model.hasResized = true
        this.world.fork(Effect.ignore(this.pool.resize({ minConnections: step.min, maxConnections: max })))
        return
      }
      case "close":
        this.close(step.what)
    }
  }

  answerAll(): void {
    this.answer(
      this.unanswered.map((_, index, all) => all.length - 1 - index),
      "answer"
    )
  }

  private refresh(): void {
    const { live } = this
    this.world.fork(this.pool.refresh)
    this.world.settle()
    this.model.moment += 1
    for (const socket of live) this.lineOf(socket).retires(this.world.now, this.model.moment)
  }

  close(what: "multiplexer" | "pool"): void {
    this.model.closedAt ??= this.world.now
    if (what === "pool") this.world.fork(this.pool.close)
    else this.closing ??= this.world.fork(Scope.close(this.scope, Exit.void))
  }

  // Checks

  check(): void {
    const { model, setting } = this
    if (model.violation !== undefined) throw model.violation
    const now = Effect.runSync(this.multiplexer.stats)
    const pool = Effect.runSync(this.pool.stats)
    if (now.requests !== model.begun) this.fail(`${model.begun} requests begun, ${now.requests} counted`)
    model.settled()
    this.tasks.check()
    if (setting.yields > 0) return
    let exclusive = 0
    let pinned = 0
    for (const { kind } of model.calls) {
      if (kind === "exclusive") exclusive += 1
      if (kind === "pinned") pinned += 1
    }
    // A connection of one's own is held a while longer for what its server asked for.
    for (const { line } of this.tasks.left) if (line.kind === undefined) exclusive += 1
    for (const { isAsked, kind } of this.lines.values())
      if (isAsked && kind !== undefined && kind !== "shared") exclusive += 1
    // Of one whose exclusive stream has something unread the end is noticed later.
    const ended = now.connections - pool.busy
    if (ended < 0 || ended > exclusive) {
      this.fail(`${now.connections} connections, ${pool.busy} leased of the pool`)
    }
    if (now.inFlight + now.waiting !== model.calls.size) {
      // What was read to its end may be with its reader.
      const reading = Array.from(model.calls).filter(({ isStream }) => isStream).length
      if (now.inFlight + now.waiting > model.calls.size || now.inFlight + now.waiting + reading < model.calls.size) {
        this.fail(`${model.calls.size} calls, ${now.inFlight} in flight, ${now.waiting} waiting`)
      }
    }
    if (model.closedAt !== undefined || exclusive > 0 || pinned > 0 || this.pins > 0) return
    // Its server may wait for an answer.
    const isOwing = setting.narrow || this.tasks.left.length > 0
    if (!isOwing && now.abandoned > 0 && now.abandoned === now.connections * setting.concurrency) {
      this.fail(`${now.connections} connections are full of what nobody waits for`)
    }
    const max = setting.max ?? Number.POSITIVE_INFINITY
    // A stream that has ended may leave its connection a step later.
    if (now.connections > Math.max(max, setting.min)) this.fail(`${now.connections} connections leased`)
    const standing = now.connections - now.retiring
    if (standing > this.model.needed) this.fail(`${standing} connections, and ${this.model.needed} were ever needed`)
    if (now.waiting === 0) return
    const isReachable = pool.connecting === 0 && pool.closing === 0 && this.mood === "open"
    if (now.retiring === 0 && now.inFlight + now.abandoned < now.connections * setting.concurrency) {
      this.fail(`${now.waiting} wait, and there is room: ${JSON.stringify(now)}`)
    }
    if (isReachable && now.connections < max && pool.idle > 0) {
      this.fail(`${now.waiting} wait, and a connection is idle: ${JSON.stringify(now)}`)
    }
  }

  start(): void {
    const { poolScope, scope, setting, tasks } = this
    const made = Effect.gen(function* () {
      const pool = yield* WebSocketPool.make({
        url: "ws://simulated",
        maxConnections: setting.poolMax,
        maxWaiters: setting.maxWaiters,
        acquireTimeout: setting.acquireTimeout,
        connectionTTL: setting.connectionTTL ?? Duration.infinity,
        idleTimeout: 5000,
        validateAfterIdle: Duration.infinity,
        connectTimeout: 4000,
        pingInterval: 5000,
        pingTimeout: 2000,
        sendBuffer,
        shutdownTimeout,
        closeTimeout
      }).pipe(Scope.provide(poolScope))
      const multiplexer = yield* makeWide<string, string, string, never, WebSocketPool.WebSocketPool>({
        codec: codecOf(setting, tasks),
        who: "Simulation",
        own: [],
        options: {
          concurrency: setting.concurrency,
          targetUtilization: setting.targetUtilization,
          minConnections: setting.min,
          maxConnections: setting.max,
          idleTimeout: setting.idleTimeout,
          bufferSize: setting.bufferSize,
          overflow: setting.overflow,
          retireTimeout: setting.retireTimeout,
          onNotice: () => Effect.sleep(100)
        }
      }).pipe(Scope.provide(scope), Effect.provideService(WebSocketPool.WebSocketPool, pool))
      return { pool, multiplexer }
    })
    this.world.fork(
      made.pipe(
        Effect.provide(this.transport.layer),
        quietly,
        Effect.tap(({ multiplexer, pool }) =>
          Effect.sync(() => {
            this.pool = pool
            this.multiplexer = multiplexer
          })
        )
      )
    )
    this.world.settle()
    this.world.fork(
      Effect.ignore(
        Stream.runForEach(this.pool.events, (event) =>
          Effect.sync(() => {
            if (event._tag === "ConnectionRetiring") this.model.retired.set(event.connectionId, this.world.now)
          })
        )
      )
    )
    this.world.settle()
  }

  /** Everybody is served who can be, and nothing is left. */
  rest(): void {
    if (this.model.closedAt !== undefined) return
    this.mood = "open"
    const { acquireTimeout, idleTimeout, min, poolMax, retireTimeout } = this.setting
    for (const socket of this.live) this.deed(socket, "flush")
    // Streams that nobody reads to their end hold their connections.
    for (let n = 0; n < 200 && this.model.calls.size > 0; n++) {
      this.answerAll()
      this.world.advance(this.unanswered.length > 0 ? 0 : 500)
      this.check()
    }
    if (this.model.calls.size > 0) this.fail(`${this.model.calls.size} calls do not come to their end`)
    for (let n = 0; n < 200 && this.tasks.left.length > 0; n++) {
      this.world.advance(500)
      this.check()
    }
    if (this.tasks.left.length > 0) this.fail(`${this.tasks.left.length} tasks are never answered`)
    this.world.advance(acquireTimeout + retireTimeout + 2 * idleTimeout + 15_000)
    for (let n = 0; n < 10; n++) {
      this.answerAll()
      this.world.advance(2 * idleTimeout + 1000)
    }
    const { abandoned, connections, inFlight, retiring, waiting } = Effect.runSync(this.multiplexer.stats)
    const { busy } = Effect.runSync(this.pool.stats)
    const left = { abandoned, inFlight, retiring, waiting }
    if (abandoned + inFlight + retiring + waiting > 0) this.fail(`not at rest: ${JSON.stringify(left)}`)
    const most = Math.min(min, poolMax)
    if (connections > Math.max(most, min)) this.fail(`${connections} connections at rest`)
    if (busy !== connections) this.fail(`${busy} leased at rest, and ${connections} known`)
  }

  /** The end: whatever is under way has its time, and nothing is left. */
  finish(): void {
    this.close("multiplexer")
    this.world.advance(shutdownTimeout + 0.001)
    if (poll(this.closing!) === undefined) this.fail("the multiplexer is not closed in time")
    if (this.model.calls.size > 0) this.fail(`${this.model.calls.size} calls outlive their multiplexer`)
    const closing = this.world.fork(Scope.close(this.poolScope, Exit.void))
    this.world.advance(shutdownTimeout + closeTimeout + 0.001)
    if (poll(closing) === undefined) this.fail("the pool is not closed in time")
    if (this.transport.live() > 0) this.fail(`${this.transport.live()} sockets are left`)
    // Those who hold a pinned view.
    this.world.advance(10_000)
    this.check()
    const { abandoned, connections, inFlight, waiting } = Effect.runSync(this.multiplexer.stats)
    if (abandoned + connections + inFlight + waiting > 0) this.fail("a closed multiplexer has something under way")
    const { acquired, released } = Effect.runSync(this.pool.stats)
    if (acquired !== released) this.fail(`${acquired} leases, and ${released} were given back`)
  }
}

const refusal = new WebSocketTransport.TransportError({ reason: "Handshake", cause: "as told" })

/** The error of a schema has another name in each edition. */
const named = (error: Failure): Failure => (error._tag === "SchemaError" ? { _tag: "ParseError" } : error)

const pick = <A>(from: ReadonlyArray<A>, which: number): A | undefined => from[which % Math.max(from.length, 1)]

/** Runs a program against the real multiplexer and pool. Throws a `Violation` where a promise is broken. */
export const simulate = (program: Program): Tally => {
  const simulation = new Simulation(program.setting)
  return simulation.world.run(() => play(simulation, program))
}

const play = (simulation: Simulation, { setting, steps }: Program): Tally => {
  const { model, world } = simulation
  const before = liveFibers()
  simulation.start()
  for (const step of steps) {
    simulation.step(step)
    world.settle()
    simulation.check()
  }
  simulation.rest()
  simulation.finish()
  if (model.violation !== undefined) throw model.violation
  const isExact = setting.yields === 0
  if (isExact && world.sleeping > 0) simulation.fail(`${world.sleeping} timers are left`)
  const after = liveFibers()
  if (isExact && after > before) simulation.fail(`${after - before} fibers are left`)
  return {
    requests: model.begun,
    answers: simulation.answers,
    tasks: simulation.tasks.answered,
    sockets: simulation.transport.sockets.length,
    seconds: world.now / 1000
  }
}

/**
 * Many pools on one quota in memory, in simulated time: `npm run fleet -- --simulate 1000`. Pools end, are killed and are cut
 * off from the server, and others begin. In the end all is quiet: what is there has to be used, and shared.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { ConnectionQuota, WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
import { World } from "../test/simulation/world.js"
import { withoutWarnings } from "./dialect.3.js"

/** How long a request holds a connection, a handshake takes, a pool is cut off, and how often a pool is in trouble. */
const holds = [1000, 5000] as const
const handshakes = [5, 40] as const
const cuts = [500, 3000] as const
const troublesPerSecond = 0.01

/** How many requests a pool has at once. */
const wants = [4, 8] as const

/** A pool, the fibers that use it, and the server's ends of its connections. */
interface Member {
  readonly url: string
  readonly scope: Scope.CloseableScope
  readonly peers: Set<WebSocketTransport.MemoryPeer>
  pool: WebSocketPool.WebSocketPool | undefined
  users: Fiber.RuntimeFiber<unknown, unknown> | undefined
  cutUntil: number
  answers: number
}

interface Options {
  readonly pools: number
  readonly limit: number
  readonly seconds: number
  readonly seed: number
}

class Simulation {
  private readonly world: World
  private readonly members = new Map<string, Member>()
  private context!: Context.Context<ConnectionQuota.ConnectionQuota | WebSocketTransport.WebSocketTransport>
  private readonly scope = Effect.runSync(Scope.make())
  private isCalm = false
  private begun = 0
  /** Attempts and sockets, closing ones included, at the pools' side of the wire. */
  private sockets = 0
  private most = 0
  private readonly done = { killed: 0, ended: 0, cut: 0 }
  private readonly faults: Array<string> = []

  constructor(private readonly options: Options) {
    this.world = new World(options.seed, 0)
  }

  /** What an effect gives that waits for nothing. */
  private now<A, E>(effect: Effect.Effect<A, E>): A {
    const fiber = this.world.fork(effect)
    this.world.settle()
    const exit = fiber.unsafePoll()
    if (exit === null || Exit.isFailure(exit)) throw new Error(`it has not succeeded at once: ${String(exit)}`)
    return exit.value
  }

  private between([least, most]: readonly [number, number]): number {
    return least + this.world.int(most - least + 1)
  }

  // The server

  private get quota() {
    const { limit, pools } = this.options
    // Only where somebody has none is it anybody's turn.
    const turn = pools > limit ? ({ turn: "2 seconds" } as const) : {}
    return ConnectionQuota.layerMemory({ name: "fleet", connections: limit, ...turn })
  }

  private isCut(url: string): boolean {
    return (this.members.get(url)?.cutUntil ?? 0) > this.world.now
  }

  private readonly serve = (peer: WebSocketTransport.MemoryPeer) =>
    Effect.acquireUseRelease(
      Effect.sync(() => this.members.get(peer.url)?.peers.add(peer)),
      () => Effect.forever(Effect.flatMap(peer.receive, peer.send)),
      () => Effect.sync(() => this.members.get(peer.url)?.peers.delete(peer))
    )

  private readonly accept = ({ url }: WebSocketTransport.MemoryHandshake) =>
    Effect.suspend(() => (this.isCut(url) ? Effect.never : Effect.sleep(this.between(handshakes))))

  private readonly transport = Layer.effect(
    WebSocketTransport.WebSocketTransport,
    Effect.map(WebSocketTransport.WebSocketTransport, ({ connect }) => ({
      connect: (request: WebSocketTransport.ConnectRequest, events: WebSocketTransport.SocketEvents) =>
        Effect.suspend(() => {
          this.sockets += 1
          this.most = Math.max(this.most, this.sockets)
          let isOpen = false
          return connect(request, {
            onOpen: (socket) => {
              isOpen = true
              events.onOpen(socket)
            },
            onMessage: (message, bytes) => events.onMessage(message, bytes),
            onPong: (payload) => events.onPong(payload),
            onFlush: () => events.onFlush(),
            onEnd: (info) => events.onEnd(info),
            onGone: () => {
              this.sockets -= 1
              events.onGone()
            }
          }).pipe(
            Effect.onExit(() =>
              Effect.sync(() => {
                if (!isOpen) this.sockets -= 1
              })
            )
          )
        })
    }))
  ).pipe(Layer.provide(WebSocketTransport.layerMemory(this.serve, { accept: this.accept })))

  // The pools

  private begin(): void {
    this.begun += 1
    const url = `ws://pool-${this.begun}.test/`
    const scope = Effect.runSync(Scope.make())
    const member: Member = { url, scope, peers: new Set(), pool: undefined, users: undefined, cutUntil: 0, answers: 0 }
    this.members.set(url, member)
    const request = (pool: WebSocketPool.WebSocketPool) =>
      pool
        .use((connection) =>
          Effect.zipRight(connection.send("?"), Effect.zipRight(connection.receive, Effect.sleep(this.between(holds))))
        )
        .pipe(
          Effect.tap(() =>
            Effect.sync(() => {
              member.answers += 1
            })
          ),
          Effect.ignore
        )
    /** Now and then it wants nothing for a while: its connections idle. */
    const rest = Effect.suspend(() =>
      !this.isCalm && this.world.chance(0.1) ? Effect.sleep(this.between(cuts)) : Effect.void
    )
    const use = Effect.gen(this, function* () {
      const pool = yield* WebSocketPool.make({
        url,
        name: url,
        maxConnections: 16,
        connectTimeout: "2 seconds",
        acquireTimeout: "10 minutes",
        quota: ConnectionQuota.ConnectionQuota
      })
      member.pool = pool
      const user = Effect.forever(
        Effect.zipRight(
          Effect.suspend(() => request(pool)),
          rest
        )
      )
      yield* Effect.all(
        Array.from({ length: this.between(wants) }, () => user),
        { concurrency: "unbounded", discard: true }
      )
    })
    member.users = this.world.fork(
      withoutWarnings(use.pipe(Scope.extend(scope), Effect.provide(this.context))) as Effect.Effect<never>
    )
  }

  private end({ scope, url, users }: Member): void {
    const interrupted = users === undefined ? Effect.void : Fiber.interrupt(users)
    const closed = Effect.zipRight(interrupted, Scope.close(scope, Exit.void))
    this.world.fork(withoutWarnings(closed)).addObserver(() => this.members.delete(url))
  }

  private cutOff({ peers }: Member): void {
    for (const peer of Array.from(peers)) this.world.fork(peer.destroy)
  }

  private trouble(): void {
    for (const member of Array.from(this.members.values())) {
      if (!this.world.chance(3 * troublesPerSecond)) continue
      const kind = (["killed", "ended", "cut"] as const)[this.world.int(3)]!
      this.done[kind] += 1
      if (kind !== "ended") this.cutOff(member)
      if (kind === "cut") member.cutUntil = this.world.now + this.between(cuts)
      else {
        this.end(member)
        this.begin()
      }
      this.world.advance(1)
    }
  }

  // The run

  private get shares() {
    return Array.from(this.members.values(), ({ answers, pool }) => {
      const { queued, total } = this.now(pool!.stats)
      return { answers, queued, held: total - queued }
    })
  }

  private check(holds: boolean, fault: string): void {
    if (!holds) this.faults.push(fault)
  }

  run(): boolean {
    const { limit, pools, seconds } = this.options
    const count = (n: number) => n.toLocaleString("en-US")
    this.context = this.now(Scope.extend(Layer.build(Layer.merge(this.transport, this.quota)), this.scope))
    for (let index = 0; index < pools; index++) {
      this.begin()
      this.world.advance(1)
    }
    console.log(`${count(pools)} pools have begun, and have ${count(this.sockets)} sockets`)
    for (let second = 1; second <= seconds; second++) {
      const ends = this.world.now + 1000
      this.trouble()
      this.world.advance(Math.max(ends - this.world.now, 0))
      if (second % 5 === 0) {
        const { cut, ended, killed } = this.done
        const faults = `${count(killed)} killed, ${count(ended)} ended, ${count(cut)} cut off`
        console.log(`${String(second).padStart(4)} s  sockets ${count(this.sockets)} of ${count(limit)}   ${faults}`)
      }
    }
    this.isCalm = true
    // What was lent comes back, and who has none has its turn.
    const calm = 6000 + 6000 * Math.ceil(pools / limit)
    this.world.advance(calm)
    const before = this.shares.map(({ answers }) => answers)
    this.world.advance(calm)
    const shares = this.shares
    const least = Math.min(...shares.map(({ held }) => held))
    const most = Math.max(...shares.map(({ held }) => held))
    const answers = shares.map(({ answers }, index) => answers - before[index]!)
    const waiting = shares.filter(({ queued }) => queued > 0)
    this.check(this.most <= limit, `${count(this.most)} sockets at once`)
    this.check(shares.length === pools, `${shares.length} pools are left`)
    this.check(Math.min(...answers) > 0, `${answers.filter((some) => some === 0).length} pools were forgotten`)
    this.check(
      waiting.every(({ held }) => held >= most - 1),
      `one pool waits with ${Math.min(...waiting.map(({ held }) => held))} while another has ${most}`
    )
    this.check(waiting.length === 0 || this.sockets === limit, `${this.sockets} are used while somebody waits`)
    for (const member of this.members.values()) this.end(member)
    this.world.advance(60_000)
    const {
      used,
      waiting: inLine,
      workers
    } = this.now(Effect.flatMap(Context.get(this.context, ConnectionQuota.ConnectionQuota).stats, Effect.succeed))
    this.check(
      used + inLine + workers + this.sockets === 0,
      `after the end ${used} are used by ${workers} pools, ${inLine} wait, and there are ${this.sockets} sockets`
    )
    const held = least === most ? `${most}` : `${least} to ${most}`
    const range = `answers per pool ${Math.min(...answers)} to ${Math.max(...answers)}`
    const isGood = this.faults.length === 0
    console.log(
      `\n${count(this.begun)} pools, at most ${count(pools)} at once; most sockets ${count(this.most)} of ${count(limit)}. ` +
        `When calm: permits per pool ${held}, ${range}: ${isGood ? "good" : "BAD"}`
    )
    for (const fault of this.faults) console.log(`  ${fault}`)
    return isGood
  }

  start(): boolean {
    return this.world.run(() => this.run())
  }
}

/** Whether everything held. */
export const simulate = (options: Options): boolean => new Simulation(options).start()

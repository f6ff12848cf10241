/**
 * What a quota costs the engine, next to what it pays for commands that do nothing: `npm run fleet -- --engine`. The workers are
 * in this process; the engine and its connections are real. It says itself what it has used, so that little else disturbs.
 */
import { setTimeout as sleep } from "node:timers/promises"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ConnectionQuota } from "effect-websocket-pool"
import { RedisConnectionQuota } from "effect-websocket-pool/redis"
import { Redis } from "ioredis"
import { RedisServer } from "../test/support/redisServer.js"
import { withoutWarnings } from "./dialect.3.js"

const workers = 1000
/** For how long each of them is measured, in seconds. */
const seconds = 20
const warmUp = "12 seconds"

export const quotaAt = (port: number, options: Partial<RedisConnectionQuota.RedisQuotaOptions> = {}) =>
  Effect.map(
    Layer.build(
      RedisConnectionQuota.layerIoredis({
        ...{ name: "compare", connections: 100, ttl: 3000, client: { host: "127.0.0.1", port } },
        ...options
      })
    ),
    (context) => Context.get(context, ConnectionQuota.ConnectionQuota)
  )

export const client = (port: number) =>
  Effect.acquireRelease(
    Effect.sync(() => new Redis({ host: "127.0.0.1", port })),
    (redis) => Effect.sync(() => redis.disconnect())
  )

/** A pool that gives nothing up. */
export const member: ConnectionQuota.QuotaMember = {
  name: "hand",
  spare: () => 0,
  yield: () => 0,
  close: () => undefined
}

/** What an engine has used so far: processor time in seconds, calls of scripts, and the seconds inside of these. */
const usedBy = async (asker: Redis) => {
  const [cpu, stats] = [await asker.info("cpu"), await asker.info("commandstats")]
  const number = (text: string, pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? 0)
  return {
    at: performance.now() / 1000,
    cpu: number(cpu, /used_cpu_sys:([\d.]+)/) + number(cpu, /used_cpu_user:([\d.]+)/),
    calls: number(stats, /evalsha:calls=(\d+)/),
    inside: number(stats, /evalsha:calls=\d+,usec=(\d+)/) / 1e6
  }
}

interface Use {
  /** Of a core. */
  readonly percent: number
  readonly perSecond: number
  /** From the start of a script to its end, in microseconds. */
  readonly inside: number
}

const measure = async (asker: Redis): Promise<Use> => {
  const before = await usedBy(asker)
  await sleep(seconds * 1000)
  const after = await usedBy(asker)
  const took = after.at - before.at
  const calls = after.calls - before.calls
  return {
    percent: ((after.cpu - before.cpu) / took) * 100,
    perSecond: calls / took,
    inside: ((after.inside - before.inside) / Math.max(calls, 1)) * 1e6
  }
}

/** Workers with two permits each, which first hold them, and then give one back and take it again every 10 s. */
const fleet = (port: number) =>
  Effect.gen(function* () {
    const shares = yield* Effect.forEach(
      Array.from({ length: workers }),
      () =>
        Effect.flatMap(quotaAt(port, { name: "load", connections: 2 * workers, ttl: 15_000, recovery: 500 }), (quota) =>
          quota.join(member)
        ),
      { concurrency: 50 }
    )
    const take = (share: ConnectionQuota.QuotaShare) =>
      Effect.async<ConnectionQuota.QuotaPermit>((resume) => {
        share.take("waiter", (permit) => {
          permit.opened()
          resume(Effect.succeed(permit))
        })
      })
    const churn = (share: ConnectionQuota.QuotaShare, first: ConnectionQuota.QuotaPermit) =>
      Effect.iterate(first, {
        while: () => true,
        body: (permit) =>
          Effect.andThen(
            Effect.sleep(5000 + Math.random() * 10_000),
            Effect.andThen(
              Effect.sync(() => permit.release()),
              take(share)
            )
          )
      })
    yield* Effect.forEach(shares, take)
    const permits = yield* Effect.forEach(shares, take)
    yield* Effect.sleep(warmUp)
    const asker = yield* client(port)
    const holding = yield* Effect.promise(() => measure(asker))
    yield* Effect.forEach(shares, (share, index) => Effect.forkScoped(churn(share, permits[index]!)))
    yield* Effect.sleep(warmUp)
    return { holding, churning: yield* Effect.promise(() => measure(asker)) }
  }).pipe(Effect.scoped)

/** As many connections as those workers have, over which so many commands are sent a second. */
const floor = (port: number, perSecond: number) =>
  Effect.gen(function* () {
    const asker = yield* client(port)
    const senders = yield* Effect.forEach(Array.from({ length: workers }), () => client(port))
    const subscribers = yield* Effect.forEach(Array.from({ length: workers }), () => client(port))
    const name = (index: number): string => `ewp:{floor}:to:${index}`
    yield* Effect.promise(() => Promise.all(subscribers.map((one, index) => one.subscribe(name(index)))))
    const sha = String(yield* Effect.promise(() => asker.call("SCRIPT", "LOAD", "return 1")))
    const sending = (send: (sender: Redis, index: number) => Promise<unknown>) =>
      Effect.promise(async () => {
        const from = performance.now()
        let sent = 0
        const timer = setInterval(() => {
          const due = ((performance.now() - from) / 1000) * perSecond
          for (; sent < due; sent++) void send(senders[sent % workers]!, sent % workers)
        }, 1)
        const use = await measure(asker)
        clearInterval(timer)
        return use.percent
      })
    return {
      nothing: yield* Effect.promise(() => measure(asker)),
      ping: yield* sending((sender) => sender.ping()),
      script: yield* sending((sender) => sender.call("EVALSHA", sha, "0")),
      publish: yield* sending((sender, index) => sender.publish(name(index), "g 01700000000000000 1 1"))
    }
  }).pipe(Effect.scoped)

/** Rows of a table. */
export const engineRows = async (): Promise<ReadonlyArray<ReadonlyArray<string>>> => {
  const measured = async <A>(measurement: (port: number) => Effect.Effect<A, unknown>): Promise<A> => {
    const server = await RedisServer.start()
    try {
      return await Effect.runPromise(withoutWarnings(measurement(server.port)))
    } finally {
      await server.end()
    }
  }
  const { churning, holding } = await measured(fleet)
  const least = await measured((port) => floor(port, churning.perSecond))
  const percent = (value: number): string => `${value.toFixed(1)} % of a core`
  const row = (name: string, { inside, percent: used, perSecond }: Use) => [
    `the engine, ${name}`,
    `${percent(used)}: ${perSecond.toFixed(0)} reports/s of ${((used / perSecond) * 1e4).toFixed(0)} µs, ${inside.toFixed(0)} of it in the script`
  ]
  return [
    row("1,000 workers that hold 2,000 permits", holding),
    row("and give back and take again 100 a second", churning),
    ["as many PINGs over as many connections", percent(least.ping)],
    ["as many scripts that do nothing", percent(least.script)],
    ["as many messages to one subscriber each", percent(least.publish)],
    ["as many connections, and nothing sent", percent(least.nothing.percent)]
  ]
}

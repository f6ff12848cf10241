/** The quota on engines that are more than one process: a cluster, and a pair that a sentinel watches. */
import { ConnectionQuota } from "effect-websocket-pool"
import { RedisConnectionQuota } from "effect-websocket-pool/redis"
import { Cluster, Redis } from "ioredis"
import type * as Config from "#effect/Config"
import * as Context from "#effect/Context"
import * as Effect from "#effect/Effect"
import * as Layer from "#effect/Layer"
import { assert, describe, it } from "#support/vitest"
import { hasRedis, RedisServer, skipped } from "../support/redisServer.js"

const sleep = (millis: number) => Effect.promise(() => new Promise((resolve) => setTimeout(resolve, millis)))

const until = <R>(holds: Effect.Effect<boolean, unknown, R>, what: string) =>
  Effect.gen(function* () {
    for (const begin = Date.now(); !(yield* holds); yield* sleep(20)) {
      assert.isBelow(Date.now() - begin, 20_000, what)
    }
  })

const started = (start: () => Promise<RedisServer>) =>
  Effect.acquireRelease(Effect.promise(start), (server) => Effect.promise(() => server.end()))

const client = <Client extends { disconnect: () => void }>(make: () => Client) =>
  Effect.acquireRelease(Effect.sync(make), (client) => Effect.sync(() => client.disconnect()))

/** Takes so many permits, and keeps what it gets. */
const taking = (layer: Layer.Layer<ConnectionQuota.ConnectionQuota, Config.ConfigError>, count: number) =>
  Effect.gen(function* () {
    const quota = Context.get(yield* Layer.build(layer), ConnectionQuota.ConnectionQuota)
    const share = yield* quota.join({ name: "pool", spare: () => 0, yield: () => 0, close: () => undefined })
    const permits: Array<ConnectionQuota.QuotaPermit> = []
    for (let index = 0; index < count; index++) {
      share.take("waiter", (permit) => {
        permits.push(permit)
        permit.opened()
      })
    }
    return { permits, quota }
  })

const name = "shared"

describe.skipIf(!hasRedis)(`a quota${hasRedis ? "" : `: ${skipped}`}`, () => {
  it.live(
    "in a cluster of three nodes is on one of them, and wakes workers who listen at any",
    () =>
      Effect.gen(function* () {
        const nodes = yield* Effect.all([0, 1, 2].map(() => started(() => RedisServer.startNode())))
        const admins = yield* Effect.all(nodes.map(({ port }) => client(() => new Redis({ port }))))
        const [first] = admins
        const slots = ["0 5460", "5461 10922", "10923 16383"]
        for (const [index, admin] of admins.entries()) {
          yield* Effect.promise(() => admin.call("CLUSTER", "SET-CONFIG-EPOCH", String(index + 1)))
          yield* Effect.promise(() => admin.call("CLUSTER", "ADDSLOTSRANGE", ...slots[index]!.split(" ")))
          const { bus, port } = nodes[index]!
          yield* Effect.promise(() => first!.call("CLUSTER", "MEET", "127.0.0.1", String(port), String(bus)))
        }
        const isReady = Effect.map(
          Effect.promise(() => Promise.all(admins.map((admin) => admin.call("CLUSTER", "INFO")))),
          (infos) => infos.every((info) => /cluster_state:ok[\s\S]*cluster_known_nodes:3/.test(String(info)))
        )
        yield* until(isReady, "the nodes find each other")

        // Each worker knows another node at first.
        const workers = yield* Effect.forEach(nodes, ({ port }) =>
          Effect.flatMap(
            client(() => new Cluster([{ host: "127.0.0.1", port }])),
            (cluster) =>
              taking(RedisConnectionQuota.layerIoredis({ name, client: cluster, connections: 5, recovery: 0 }), 3)
          )
        )
        const held = () => workers.reduce((sum, { permits }) => sum + permits.length, 0)
        yield* until(
          Effect.sync(() => held() === 5),
          "five of nine"
        )
        const [one] = workers
        yield* until(
          Effect.map(one!.quota.stats, ({ used, waiting, workers }) => used === 5 && waiting === 4 && workers === 3),
          "all are known"
        )
        for (let given = 0; given < 4; given++) {
          workers
            .find(({ permits }) => permits.length > 0)!
            .permits.shift()!
            .release()
          yield* until(
            Effect.sync(() => held() === 5),
            "what was given back goes to who waits"
          )
        }
        assert.deepInclude(yield* one!.quota.stats, { used: 5, waiting: 0 })
      }),
    60_000
  )

  it.live(
    "goes on with the replica that a sentinel puts in the place of a dead engine, and never above its limit",
    () =>
      Effect.gen(function* () {
        const main = yield* started(() => RedisServer.start())
        const replica = yield* started(() => RedisServer.start("--replicaof", "127.0.0.1", String(main.port)))
        const admin = yield* client(() => new Redis({ port: replica.port }))
        yield* until(
          Effect.map(
            Effect.promise(() => admin.info("replication")),
            (info) => info.includes("master_link_status:up")
          ),
          "the replica follows"
        )
        const sentinel = yield* started(() => RedisServer.startSentinel(main))
        const watcher = yield* client(() => new Redis({ port: sentinel.port }))
        yield* until(
          Effect.map(
            Effect.promise(() => watcher.call("SENTINEL", "REPLICAS", "main")),
            (replicas) => Array.isArray(replicas) && replicas.length === 1
          ),
          "the sentinel knows both"
        )

        const layer = RedisConnectionQuota.layerIoredis({
          name,
          client: { sentinels: [{ host: "127.0.0.1", port: sentinel.port }], name: "main" },
          connections: 4,
          ttl: "20 seconds",
          recovery: "2 seconds"
        })
        const before = yield* Effect.all([taking(layer, 2), taking(layer, 2)])
        yield* until(
          Effect.sync(() => before.every(({ permits }) => permits.length === 2)),
          "all four"
        )
        const late = yield* taking(layer, 1)
        yield* Effect.promise(() => main.kill())
        yield* until(
          Effect.map(Effect.exit(late.quota.stats), (exit) => exit._tag === "Success"),
          "there is an engine again"
        )
        yield* until(
          Effect.map(
            late.quota.stats,
            ({ state, used, workers }) => state === "connected" && used === 4 && workers === 3
          ),
          "all have told what they hold"
        )
        assert.lengthOf(late.permits, 0)
        before[0]!.permits.shift()!.release()
        yield* until(
          Effect.sync(() => late.permits.length === 1),
          "what was given back goes to who waits"
        )
      }),
    60_000
  )
})

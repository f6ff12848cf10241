import { assert, describe, it } from "#support/vitest"
import {
  calm,
  during,
  live,
  maxConnections,
  minConnections,
  pools,
  type Scenario,
  type Storm,
  scenarios,
  sum,
  trouble
} from "../bench/storm.js"

/** What one round of background opening costs at most, over all pools: each connection, and its three retries. */
const round = pools * minConnections * 4

/**
 * Rounds that the back-off lets start, as close as the jitter allows. A round takes at least 560 ms for its retries;
 * the pauses between them are at least 80 ms, 160 ms, and so on, up to 8 s.
 */
const rounds = (seconds: number): number => {
  let started = 0
  for (let time = 0; time < seconds; started++) time += 0.56 + Math.min(0.08 * 2 ** started, 8)
  return started
}

const expectCalmAfterwards = ({ attempts, left, mostSockets, recovery }: Storm): void => {
  assert.isAtMost(recovery, 12, "seconds until the pools are whole again")
  assert.isAtMost(mostSockets, pools * maxConnections)
  assert.strictEqual(sum(attempts.slice(calm + trouble + 15)), 0, "attempts when all is well again")
  assert.strictEqual(left, 0, "sockets, sleepers and fibers that outlive the pools")
}

const patience = 120_000

describe("a storm that nobody asks for", () => {
  for (const seed of [1, 2, 3]) {
    for (const scenario of [scenarios.away, scenarios.slams]) {
      it(
        `${scenario.name}: seed ${seed} is bounded by back-off and jitter`,
        () => {
          const storm = live(scenario, seed)
          const { attempts } = storm
          const opened = pools * minConnections
          assert.strictEqual(sum(attempts.slice(0, calm)), opened, "attempts before the trouble")
          assert.isAtMost(sum(during(attempts, 0, 10)), rounds(10) * round)
          assert.isAtMost(sum(during(attempts, 0)), rounds(trouble) * round)
          // It goes on trying, and the pools do not try all at the same time.
          assert.isAtLeast(sum(during(attempts, trouble - 30)), pools)
          assert.isAtMost(Math.max(...during(attempts, 10)), round * 0.75)
          assert.isAtMost(sum(during(attempts, 60)), (60 / 8.56 + 1) * round)
          expectCalmAfterwards(storm)
        },
        patience
      )
    }
  }

  /** What 0.1.0 opened in this storm: 500 in its first ten seconds, 1,600 in all of it, and some retries by the seed. */
  const before = { early: 500, all: 1605 }

  for (const seed of [1, 2, 3, 4, 5]) {
    // What a server ends after a second counts as lost, and not as renewed: it is driven no faster than it ever was.
    it(
      `${scenarios.hangsUp.name}: seed ${seed} is bounded as before, when every loss went through the back-off`,
      () => {
        const storm = live(scenarios.hangsUp, seed)
        const { attempts } = storm
        assert.isAtMost(sum(during(attempts, 0, 10)), before.early)
        assert.isAtMost(sum(during(attempts, 0)), before.all)
        // It goes on trying, and the pools do not try all at the same time.
        assert.isAtLeast(sum(during(attempts, trouble - 30)), pools)
        assert.isAtMost(Math.max(...during(attempts, 10)), (pools * minConnections * 3) / 4)
        expectCalmAfterwards(storm)
      },
      patience
    )
  }

  it(
    "is the same for the same seed, and another for another",
    () => {
      assert.deepStrictEqual(live(scenarios.slams, 7), live(scenarios.slams, 7))
      assert.notDeepEqual(live(scenarios.slams, 7).attempts, live(scenarios.slams, 8).attempts)
    },
    patience
  )
})

describe("a storm with users", () => {
  /** Attempts that each `use` may cost besides those in the background. */
  const cases: ReadonlyArray<readonly [Scenario, perUse: number]> = [
    [scenarios.awayInUse, 4],
    [scenarios.slamsInUse, 4],
    [scenarios.floods, 1],
    [scenarios.floodsDrained, 1]
  ]
  for (const [scenario, perUse] of cases) {
    it(
      `${scenario.name}: there are no more attempts than the users ask for, and those in the background`,
      () => {
        const storm = live(scenario)
        const { attempts, wishes } = storm
        for (const [from, to] of [
          [0, 10],
          [0, trouble]
        ] as const) {
          const most = sum(during(wishes, from, to)) * perUse + rounds(to) * round
          assert.isAtMost(sum(during(attempts, from, to)), most)
        }
        // A user who fails at once would ask again and again; these pause for half a second at least.
        assert.isAtMost(Math.max(...during(wishes, 0)), pools * scenario.users * 2)
        expectCalmAfterwards(storm)
      },
      patience
    )
  }
})

import type { Mutation } from "./mutations.js"

/** Ways to break a quota: the one in memory, the script of the engine, and the worker that reports to it. */
export const quotaMutations: ReadonlyArray<Mutation> = [
  // The script
  {
    name: "do not notice that the engine has fallen back",
    file: "quota/redis/script.ts",
    from: "then lost = version > v else",
    to: "then lost = false else"
  },
  {
    name: "count no attempts that are under way",
    file: "quota/redis/script.ts",
    from: "windows[i][1] - pend",
    to: "windows[i][1]"
  },
  {
    name: "do not notice that a key is lost",
    file: "quota/redis/script.ts",
    from: "call('EXISTS', e, a,",
    to: "call('EXISTS', a,"
  },
  {
    name: "do not notice that it is lost when attempts ended",
    file: "quota/redis/script.ts",
    from: "r, o, c, s) end\n",
    to: "r, o, s) end\n"
  },
  {
    name: "answer a report that comes twice as one that says what was said before",
    file: "quota/redis/script.ts",
    from: "said == before and seq > last",
    to: "said == before",
    test: "test/quota/engine.integration.test.ts"
  },
  {
    name: "renew nothing for who says what was said before",
    file: "quota/redis/script.ts",
    from: "    call('ZADD', e, 'XX', now + ttl, me)\n",
    to: ""
  },
  {
    name: "write a key anew that was lost",
    file: "quota/redis/script.ts",
    from: "call('ZADD', e, 'XX', now + ttl, me)",
    to: "call('ZADD', e, now + ttl, me)",
    test: "test/quota/engine.integration.test.ts"
  },
  {
    name: "do not look earlier for who lapses, though who says the same will",
    file: "quota/redis/script.ts",
    from: " and lapse <= now + ttl",
    to: "",
    test: "test/quota/engine.integration.test.ts"
  },
  {
    name: "leave open whose options count, while all say the same",
    file: "quota/redis/script.ts",
    from: " and of ~= ''",
    to: "",
    test: "test/quota/engine.integration.test.ts"
  },
  {
    name: "answer who says the same while others wait",
    file: "quota/redis/script.ts",
    from: "and wants + backs + settling == 0 and",
    to: "and"
  },
  {
    name: "take who is not alone in line for alone",
    file: "quota/redis/script.ts",
    from: "isNew and wants + backs == rec.want + rec.back",
    to: "isNew"
  },
  {
    name: "lose the place in line of who was served",
    file: "quota/redis/script.ts",
    from: "elseif rec.ticket == 0 or granted > rec.granted or",
    to: "elseif rec.ticket == 0 or"
  },
  {
    name: "give everybody the same place in line",
    file: "quota/redis/script.ts",
    from: "rec.ticket = ticket\n",
    to: "rec.ticket = 1\n"
  },
  {
    name: "grant one above the limit",
    file: "quota/redis/script.ts",
    from: "used + settling >= limit",
    to: "used + settling > limit"
  },
  {
    name: "take an old report for a new one",
    file: "quota/redis/script.ts",
    from: "local isOld = rec and seq <=",
    to: "local isOld = rec and seq <"
  },
  {
    name: "let a report that comes twice resize again",
    file: "quota/redis/script.ts",
    from: "if not isOld then\n  -- Until all",
    to: "do\n  -- Until all"
  },
  {
    name: "grant while not all have told what they hold",
    file: "quota/redis/script.ts",
    from: "if now < learn then wait = learn - now",
    to: "if now < 0 then wait = learn - now"
  },
  {
    name: "do not wait for those who could not report while the engine was away",
    file: "quota/redis/script.ts",
    from: "now - seen > ttl / 2",
    to: "false"
  },
  {
    name: "ask which process it is only where the script was not known",
    file: "quota/redis/script.ts",
    from: " and save == saved and seen >= (saved + 2) * 1000 and now >= seen",
    to: "",
    test: "test/quota/engine.integration.test.ts"
  },
  {
    name: "take a process that has saved in the same second for the same",
    file: "quota/redis/script.ts",
    from: " and seen >= (saved + 2) * 1000",
    to: "",
    test: "test/quota/engine.integration.test.ts"
  },
  {
    name: "take another process for the same",
    file: "quota/redis/script.ts",
    from: "isOther = not lost and found ~= run",
    to: "isOther = false"
  },
  {
    name: "forget a resize with the data",
    file: "quota/redis/script.ts",
    from: "if latestOf > of then",
    to: "if false then"
  },
  {
    name: "let a worker lapse early",
    file: "quota/redis/script.ts",
    from: "call('ZADD', e, now + ttl, me)",
    to: "call('ZADD', e, now + ttl / 2, me)"
  },
  {
    name: "never let a worker lapse",
    file: "quota/redis/script.ts",
    from: "if x ~= me then forget(x) end",
    to: ""
  },
  {
    name: "do not look for who has lapsed",
    file: "quota/redis/script.ts",
    from: "  lapse = math.min(lapse, now + ttl)\n",
    to: ""
  },
  {
    name: "do not note who has become richer",
    file: "quota/redis/script.ts",
    from: "if rec.net ~= hadNet then",
    to: "if hadNet == math.huge then"
  },
  {
    name: "keep those in line who do not wait any more",
    file: "quota/redis/script.ts",
    from: "if wasInLine or rec.want",
    to: "if rec.want"
  },
  {
    name: "keep the permits of a worker that has ended",
    file: "quota/redis/script.ts",
    from: "    used = used - rec.allot\n    rec.allot = 0\n",
    to: "    rec.allot = 0\n"
  },
  {
    name: "count no attempts of those who lapse",
    file: "quota/redis/script.ts",
    from: "    stamp(rec.trying)\n    rest(rec.allot)",
    to: "    rest(rec.allot)"
  },
  {
    name: "end an attempt's window with its grant",
    file: "quota/redis/script.ts",
    from: "  stamp(tried - rec.tried)\n  pend = pend - rec.trying + trying",
    to: "  pend = pend - rec.trying + trying"
  },
  {
    name: "let nothing settle",
    file: "quota/redis/script.ts",
    from: "  for _ = 1, count do move('RPUSH', s, now + settle) end\n  settling = settling + math.max(count, 0)",
    to: ""
  },
  {
    name: "ask again for what was asked for",
    file: "quota/redis/reclaiming.ts",
    from: "local near, far = soon + settling, debts - soon",
    to: "local near, far = settling, 0"
  },
  {
    name: "ask nobody for a lease",
    file: "quota/redis/reclaiming.ts",
    from: "return ask(rich[i], 'leased')",
    to: "return false"
  },
  {
    name: "ask nobody for an idle connection",
    file: "quota/redis/reclaiming.ts",
    from: "return idle and ask(idle, 'idle')",
    to: "return false"
  },
  {
    name: "ask without end for a lease that is not there",
    file: "quota/redis/script.ts",
    from: "isUnable == '1' and 0 or held - out",
    to: "held - out"
  },
  {
    name: "serve background opening first",
    file: "quota/redis/script.ts",
    from: "move('ZADD', l, later + score, x)",
    to: "move('ZADD', l, score, x)"
  },
  {
    name: "serve whoever asks first, whatever it holds",
    file: "quota/redis/script.ts",
    from: "math.min(rec.allot, 524287) * 4294967296",
    to: "0"
  },
  {
    name: "tell nobody of a grant to another worker",
    file: "quota/redis/script.ts",
    from: "if head ~= me then told[head] = true end",
    to: ""
  },

  // The worker
  {
    name: "open what the answer says, and not what it says beyond the report",
    file: "quota/redis/worker.ts",
    from: "const base = this.reported?.held ?? 0",
    to: "const base = 0"
  },
  {
    name: "take a grant for an older report",
    file: "quota/redis/worker.ts",
    from: "Number(first) === this.seq && !this.isLate",
    to: "Number(first) <= this.seq && !this.isLate"
  },
  {
    name: "take a grant that is older than ttl",
    file: "quota/redis/worker.ts",
    from: "&& !this.isLate) this.allotted",
    to: ") this.allotted"
  },
  {
    name: "leave an engine that has begun anew without what was granted since the report",
    file: "quota/redis/worker.ts",
    from: " || this.grantedSince > 0",
    to: "",
    test: "test/quota/worker.test.ts"
  },
  {
    name: "take an answer that is older than ttl",
    file: "quota/redis/worker.ts",
    from: "const isTaken = answer.seq === this.seq && !this.isLate",
    to: "const isTaken = answer.seq === this.seq"
  },
  {
    name: "take an answer to another report",
    file: "quota/redis/worker.ts",
    from: "const isTaken = answer.seq === this.seq && !this.isLate",
    to: "const isTaken = !this.isLate",
    test: "test/quota/worker.test.ts"
  },
  {
    name: "report no more after a failure",
    file: "quota/redis/worker.ts",
    from: "this.timers.set(this.again, this.timers.now() + pause)",
    to: "this.timers.clear(this.again)"
  },
  {
    name: "send no heartbeat",
    file: "quota/redis/worker.ts",
    from: "this.timers.set(this.heartbeat,",
    to: "this.timers.set(this.heartbeat, this.timers.now() * 0 + 1e9 +"
  },
  {
    name: "tell nothing of attempts to an engine that has forgotten them",
    file: "quota/redis/attempts.ts",
    from: "return this.untold.map((end) => now - end)",
    to: "return []"
  },
  {
    name: "open more than unreachable",
    file: "quota/redis/worker.ts",
    from: "this.desk.held < this.settings.unreachable",
    to: "this.desk.held <= this.settings.unreachable"
  },
  {
    name: "meet an ask twice",
    file: "quota/redis/asks.ts",
    from: "    this.leased += newLeased\n",
    to: ""
  },
  {
    name: "take an answer that was overtaken by an ask for one of an engine that has begun anew",
    file: "quota/redis/asks.ts",
    from: "if (askedIdle < told.askedIdle) this.idle",
    to: "this.idle"
  },

  // The desk, which all have
  {
    name: "serve the last in line of a pool first",
    file: "quota/line.ts",
    from: "waiters[0]!.turn < first.turn) first = waiters[0]",
    to: "waiters.at(-1)!.turn < first.turn) first = waiters.at(-1)"
  },
  {
    name: "serve who holds most",
    file: "quota/line.ts",
    from: "this.levels.find(",
    to: "this.levels.findLast("
  },
  {
    name: "count no debts",
    file: "quota/desk.ts",
    from: 'if (from === "leased" || owed === owedIdle) party.owed += 1',
    to: ""
  },
  {
    name: "lose the permit of a pool that leaves",
    file: "quota/desk.ts",
    from: "for (const permit of Array.from(party.granted)) permit.release()",
    to: ""
  },

  // The quota in memory
  {
    name: "grant one above the limit in memory",
    file: "quota/memory.ts",
    from: "if (next > now || desk.held + this.settling.length >= this.limit) break",
    to: "if (next > now || desk.held + this.settling.length > this.limit) break"
  },
  {
    name: "let nothing settle in memory",
    file: "quota/memory.ts",
    from: "if (this.settings.settle > 0) settling.push(now + this.settings.settle)",
    to: ""
  },
  {
    name: "reclaim nothing idle in memory",
    file: "quota/memory.ts",
    from: 'if (desk.reclaim(party, "idle")) return true\n      asked.add(party)',
    to: "asked.add(party)"
  },
  {
    name: "forget to look again when a pause ends",
    file: "quota/memory.ts",
    from: "due = next > now ? next : (this.settling[0] ?? due)",
    to: "due = this.settling[0] ?? due"
  },
  {
    name: "begin a window with the grant of an attempt",
    file: "quota/windows.ts",
    from: "if (trying >= limit) return Number.POSITIVE_INFINITY",
    to: "if (trying > limit) return Number.POSITIVE_INFINITY"
  },
  {
    name: "remember one attempt too few",
    file: "quota/windows.ts",
    from: "this.ends[this.ends.length - (limit - trying)]",
    to: "this.ends[this.ends.length - (limit - trying) - 1]"
  },
  {
    name: "shorten a pause",
    file: "quota/backoff.ts",
    from: "this.until = Math.max(this.until, now + millis)",
    to: "this.until = now + millis"
  },
  {
    name: "double a pause once for each refusal",
    file: "quota/backoff.ts",
    from: "if (now < this.refusedUntil) return",
    to: ""
  },
  {
    name: "go on doubling after a success",
    file: "quota/backoff.ts",
    from: "if (hasSucceeded) this.level = 0",
    to: ""
  }
]

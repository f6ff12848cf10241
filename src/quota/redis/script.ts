import { reclaiming } from "./reclaiming.js"

/**
 * What the engine does, in one script. A worker reports what is, and is answered with its allotment; the engine knows no
 * single permit. All of it is on the engine's clock.
 *
 * | key | what it keeps |
 * |---|---|
 * | `w` | the quota, under no name: epoch, version, limits, sums, until when nothing is granted, and how many of the other keys |
 * |     | there are; and the latest report of each worker, and what it was granted and asked for since |
 * | `e` | when each worker lapses |
 * | `a` | what each worker holds less what it owes: who is richest |
 * | `l` | who waits: background last, then who holds least, then by ticket |
 * | `r`, `o` | who has idle connections, and who has had one for longer than `turn` |
 * | `c` | when attempts ended, the latest first |
 * | `s` | until when permits that were given back count |
 *
 * Half of this is worse than nothing: if one key is gone, or if a worker remembers a later version or epoch than the
 * engine, all of it is dropped, and an epoch begins in which nothing is granted until every worker has reported.
 *
 * Another process may go on with an older state, and whoever reports first may know of none that is later. To ask the engine
 * which process it is costs a quarter of a report, so it is asked only where its last save does not show that. Until it saves
 * for the first time, that is when it began: later than its predecessor wrote anything that it has found. The engine tells it
 * in whole seconds, so it proves something only once what was written last is two seconds younger. The engine is asked, too,
 * where it did not know the script, which none does when it begins. One that may not be asked is another where it did not.
 *
 * Thousands of workers report several times a minute, and most say what they said before. So numbers are packed into one
 * value for the quota and one for each worker, a sorted set is written only where its order changes, and what a worker said is
 * kept as it came, so that a report which says nothing new is answered before it is taken apart.
 */
export const script = `local w, e, a, l, r, o, c, s = unpack(KEYS)
local call = redis.call
local me = ARGV[1]
-- What is compared has to be a number.
local seq, version, isUnknown, isLast, isCounted, known, said = string.match(ARGV[2], '(%S+) (%S+) (%S) (%S) (%S) (%S*) (.*)')
seq, version = seq + 0, version + 0
local ttl, recovery, settle, mode, latest, spans, latestOf = string.match(ARGV[3], '(%S+) (%S+) (%S+) (%S+) (%S+) (%S*) (.*)')
ttl, settle = ttl + 0, settle + 0
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local micros = time[1] * 1000000 + time[2]
local later = 2251799813685248

-- Whether keys may have come or gone.
local isMoved = false
local function move(...)
  isMoved = true
  return call(...)
end
local function present() return call('EXISTS', e, a, l, r, o, c, s) end

local state = '>dddddddddd dddddddddd ssss'
local kept, packed = unpack(call('HMGET', w, '', me))
local lost, v, seen, limit, used, pend, debts, soon, wants, backs, ticket, learn, pause, rp, lvl, saved, aged, lapse, workers, settling, keys,
  epoch, run, win, of = not kept, 0, 0, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, math.huge, 0, 0, 0, '', '', '', ''
if kept then
  v, seen, limit, used, pend, debts, soon, wants, backs, ticket, learn, pause, rp, lvl, saved, aged, lapse, workers, settling, keys,
    epoch, run, win, of = struct.unpack(state, kept)
  if known == epoch then lost = version > v else lost = known > epoch end
end

local save = redis.pcall('LASTSAVE')
local isProven = isUnknown == '0' and save == saved and seen >= (saved + 2) * 1000 and now >= seen
local isAway = workers > 0 and now - seen > ttl / 2

-- Nobody waits, and this worker says what it said before: there is nothing to decide, and what it was granted or asked for
-- since stays so. A key that is lost stays lost.
if isProven and packed and of ~= '' and not lost and not isAway and wants + backs + settling == 0 and (limit < 0 or used <= limit)
  and now >= math.max(learn, pause) and now < lapse and lapse <= now + ttl and now - aged <= 3600000
  and isLast .. isCounted .. ARGV[4] .. ARGV[5] == '00' then
  local last, allot, aski, askl, before = struct.unpack('>dddds', packed)
  if said == before and seq > last then
    call('ZADD', e, 'XX', now + ttl, me)
    call('HSET', w, '', struct.pack('>dd', v + 1, now) .. string.sub(kept, 17), me, struct.pack('>d', seq) .. string.sub(packed, 9))
    return { epoch, v + 1, seq, allot, aski, askl, limit, used, 0, workers, 0, 0, 0, -1, '', win, of }
  end
end

lost = lost or keys ~= present()
if lost then
  packed = false
  move('DEL', w, e, a, l, r, o, c, s)
  if not kept then limit, win, of = latest + 0, spans, latestOf end
  epoch = string.format('%017.0f', math.max(micros, (tonumber(epoch) or 0) + 1, (tonumber(known) or 0) + 1))
  v, used, pend, debts, soon, wants, backs, ticket, aged, lapse, workers, settling = 0, 0, 0, 0, 0, 0, 0, 0, 0, math.huge, 0, 0
  learn = now + recovery
end

-- The engine was away, or is another process than before: nobody could renew, and it may have fallen back.
local isOther = false
if lost or not isProven then
  local info = redis.pcall('INFO', 'server')
  local found = type(info) == 'string' and string.match(info, 'run_id:(%w+)')
  if found then isOther = not lost and found ~= run else isOther = isUnknown == '1' end
  run, saved = found or run, type(save) == 'number' and save or 0
end
if not lost and (isOther or isAway) then
  learn = math.max(learn, now + recovery)
  local ends = call('ZRANGE', e, 0, -1, 'WITHSCORES')
  for i = 1, #ends, 2 do
    if tonumber(ends[i + 1]) < now + ttl then call('ZADD', e, now + ttl, ends[i]) end
  end
end

local held, want, back, spare, trying, tried, given, granted, aski, askl, owed, owedi, isUnable, old, refused, after, well =
  string.match(said, '(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)')
held, want, back, spare, trying, tried, given = held + 0, want + 0, back + 0, spare + 0, trying + 0, tried + 0, given + 0
granted, old, refused, well = granted + 0, old + 0, refused + 0, well + 0

-- What is known of a worker: what it said in its latest report, and what it was granted and asked for since.
local shape = '>dddds dddddddddd ddddd'
local function account(seq, allot, aski, askl, said, held, want, back, spare, trying, tried, given, out, old, ticket, refused, well, granted, outi, net)
  return { seq = seq, allot = allot, aski = aski, askl = askl, said = said, held = held, want = want, back = back, spare = spare,
    trying = trying, tried = tried, given = given, out = out, old = old, ticket = ticket, refused = refused, well = well,
    granted = granted, outi = outi, net = net }
end
local cache = { [me] = packed and account(struct.unpack(shape, packed)) }
local function load(x)
  if cache[x] == nil then
    local packed = call('HGET', w, x)
    cache[x] = packed and account(struct.unpack(shape, packed))
  end
  return cache[x]
end
local rec = cache[me]
local isOld = rec and seq <= rec.seq
-- What has to be written of this worker, so that others find it in its place.
local isNew, wasInLine, hadNet = false, false, math.huge
if not isOld then
  -- Until all have told what they hold, who knows the latest limits tells these, too: the latest resize counts, however often
  -- the engine has begun anew or fallen back since.
  if now < learn then
    if latestOf > of then limit, win, of = latest + 0, spans, latestOf end
  elseif of == '' then of = epoch end
  if ARGV[4] ~= '' then
    local wish, windows, rest = string.match(ARGV[4], '(%S*) (%S*) (%S*)')
    if wish ~= '' then limit = wish + 0 end
    if windows ~= '-' then win = windows end
    if wish ~= '' or windows ~= '-' then
      of = string.format('%017.0f', math.max(micros, (tonumber(of) or 0) + 1, (tonumber(latestOf) or 0) + 1))
    end
    if rest ~= '0' then pause = math.max(pause, now + rest) end
  end
end
local windows, most = {}, 0
for bound, millis in string.gmatch(win, '(%d+):(%d+)') do
  windows[#windows + 1] = { tonumber(bound), tonumber(millis) }
  most = math.max(most, tonumber(bound))
end

local function stamp(count)
  if most == 0 or count <= 0 then return end
  for _ = 1, math.min(count, most) do move('LPUSH', c, now) end
  call('LTRIM', c, 0, most - 1)
end
local function rest(count)
  if settle == 0 then return end
  for _ = 1, count do move('RPUSH', s, now + settle) end
  settling = settling + math.max(count, 0)
end
local function rank(key, score, x)
  if score > 0 then move('ZADD', key, score, x) else move('ZREM', key, x) end
end
local function place(x, rec, number)
  local score = math.min(rec.allot, 524287) * 4294967296 + number % 4294967296
  if rec.want > 0 then move('ZADD', l, score, x)
  elseif rec.back > 0 then move('ZADD', l, later + score, x)
  else move('ZREM', l, x) end
end
local function forget(x)
  local rec = load(x)
  if rec then
    used, pend, wants, backs = used - rec.allot, pend - rec.trying, wants - rec.want, backs - rec.back
    debts, soon, workers = debts - rec.out, soon - rec.outi, workers - 1
    stamp(rec.trying)
    rest(rec.allot)
  end
  cache[x] = false
  call('HDEL', w, x)
  for _, key in ipairs({ e, a, l, r, o }) do move('ZREM', key, x) end
end

if now >= learn and now >= lapse then
  for _, x in ipairs(call('ZRANGEBYSCORE', e, '-inf', now, 'LIMIT', 0, 100)) do
    if x ~= me then forget(x) end
  end
  lapse = tonumber(call('ZRANGE', e, 0, 0, 'WITHSCORES')[2] or math.huge)
end

if isOld then
  -- One that was overtaken, or comes twice: what came later says what is.
elseif isLast == '1' then
  if rec then
    used = used - rec.allot
    rec.allot = 0
    rest(given - rec.given)
    stamp(tried - rec.tried)
    pend = pend - rec.trying
    rec.trying = 0
  end
  forget(me)
else
  if not rec then
    rec = account(0, 0, aski + 0, askl + 0, said, 0, 0, 0, 0, 0, tried, given, 0, 0, 0, refused, well, granted, 0, math.huge)
    cache[me] = rec
    workers, isMoved = workers + 1, true
  end
  if ARGV[5] ~= '' and most > 0 then
    local ends = call('LRANGE', c, 0, -1)
    for age in string.gmatch(ARGV[5], '%d+') do ends[#ends + 1] = now - age end
    table.sort(ends, function(x, y) return tonumber(x) > tonumber(y) end)
    move('DEL', c)
    for i = 1, math.min(#ends, most) do call('RPUSH', c, ends[i]) end
  end
  used = used - rec.allot + held
  rest(given - rec.given)
  stamp(tried - rec.tried)
  pend = pend - rec.trying + trying
  if well > rec.well then lvl = 0 end
  if refused > rec.refused then
    if tonumber(after) >= 0 then
      rp = math.max(rp, now + after)
    elseif now >= rp then
      rp = now + math.min(1000 * 2 ^ lvl, 60000)
      lvl = math.min(lvl + 1, 16)
    end
    pause = math.max(pause, rp)
  end
  local outi = math.max(rec.aski - aski, 0) + owedi
  local out = math.max(rec.aski - aski, 0) + math.max(rec.askl - askl, 0) + owed
  debts, soon = debts - rec.out + out, soon - rec.outi + outi
  wants = wants - rec.want + want
  backs = backs - rec.back + back
  -- Who was served, or begins to wait, goes to the end of those who hold as much.
  if want + back == 0 then rec.ticket = 0
  elseif rec.ticket == 0 or granted > rec.granted or (want > 0 and rec.want == 0 and rec.allot <= rec.held) then
    ticket = ticket + 1
    rec.ticket = ticket
  end
  -- Who cannot give up any of its leases now is asked for none.
  local net = isUnable == '1' and 0 or held - out
  isNew, wasInLine, hadNet = true, rec.want + rec.back > 0, rec.net
  -- Most reports say again what was said before: in what order workers are is written where it changes.
  call('ZADD', e, now + ttl, me)
  lapse = math.min(lapse, now + ttl)
  if spare ~= rec.spare then rank(r, spare, me) end
  if old ~= rec.old then rank(o, old, me) end
  rec.seq, rec.held, rec.allot, rec.want, rec.back, rec.spare, rec.trying = seq, held, held, want, back, spare, trying
  rec.tried, rec.given, rec.out, rec.outi, rec.old, rec.net = tried, given, out, outi, old, net
  rec.refused, rec.well, rec.granted, rec.said = refused, well, granted, said
end

while settling > 0 and tonumber(call('LINDEX', s, 0)) <= now do
  move('LPOP', s)
  settling = settling - 1
end

local function write(number)
  if wasInLine or rec.want + rec.back > 0 then place(me, rec, number) end
  if rec.net ~= hadNet then call('ZADD', a, rec.net, me) end
end
-- Most who want something are alone with that, and served at once: then they need not stand in line for it.
local isAlone = isNew and wants + backs == rec.want + rec.back
if isNew and not isAlone then write(rec.ticket) end

local wait, told, isFull, isHeldUp = 0, {}, false, false
if now < learn then wait = learn - now
elseif now < pause then wait = pause - now
else
  for _ = 1, math.min(wants + backs, 1000) do
    if limit >= 0 and used + settling >= limit then
      isFull = true
      break
    end
    local at = now
    for i = 1, #windows do
      local room = windows[i][1] - pend
      if room <= 0 then at = math.huge
      else
        local ended = call('LINDEX', c, room - 1)
        if ended then at = math.max(at, tonumber(ended) + windows[i][2]) end
      end
    end
    if at > now then
      if at < math.huge then wait = at - now else isHeldUp = true end
      break
    end
    local head = isAlone and me or call('ZRANGE', l, 0, 0)[1]
    local x = load(head)
    x.allot, x.trying, used, pend = x.allot + 1, x.trying + 1, used + 1, pend + 1
    if x.want > 0 then
      x.want, wants = x.want - 1, wants - 1
    else
      x.back, backs = x.back - 1, backs - 1
    end
    ticket = ticket + 1
    x.net = x.net + 1
    if not isAlone then
      place(head, x, ticket)
      call('ZADD', a, x.net, head)
    end
    if head ~= me then told[head] = true end
  end
end
if isAlone then write(rec.allot > rec.held and ticket or rec.ticket) end
for x in pairs(told) do
  local rec = load(x)
  call('PUBLISH', ARGV[6] .. x, 'g ' .. epoch .. ' ' .. rec.seq .. ' ' .. rec.allot)
end

${reclaiming}if isFull or isHeldUp then
  wait = math.huge
  local ends = call('ZRANGE', e, 0, 0, 'WITHSCORES')
  if ends[2] then wait = math.max(tonumber(ends[2]) - now, 1) end
  if settling > 0 then wait = math.min(wait, tonumber(call('LINDEX', s, 0)) - now) end
end

local mine = {}
for x, rec in pairs(cache) do
  if rec then
    local packed = struct.pack(shape, rec.seq, rec.allot, rec.aski, rec.askl, rec.said, rec.held, rec.want, rec.back, rec.spare,
      rec.trying, rec.tried, rec.given, rec.out, rec.old, rec.ticket, rec.refused, rec.well, rec.granted, rec.outi, rec.net)
    if x == me then mine = { x, packed } else call('HSET', w, x, packed) end
  end
end
if isMoved then
  local found = present()
  if found > keys then aged = 0 end
  keys = found
end
if now - aged > 3600000 then aged = now end
v = v + 1
call('HSET', w, '', struct.pack(state, v, now, limit, used, pend, debts, soon, wants, backs, ticket % 4294967296, learn, pause, rp, lvl, saved,
  aged, lapse, workers, settling, keys, epoch, run, win, of), unpack(mine))
if aged == now then
  for i = 1, #KEYS do call('PEXPIRE', KEYS[i], 172800000) end
end

local counts = {}
if isCounted == '1' then
  local ends = call('LRANGE', c, 0, -1)
  for i = 1, #windows do
    local count = pend
    for j = 1, #ends do
      if tonumber(ends[j]) + windows[i][2] > now then count = count + 1 end
    end
    counts[i] = count
  end
end
rec = load(me) or { seq = seq, allot = 0, aski = 0, askl = 0, want = 0, back = 0 }
return { epoch, v, isOld and -1 or rec.seq, rec.allot, rec.aski, rec.askl, limit, used + settling, wants + backs, workers,
  math.max(learn - now, 0), math.max(pause - now, 0), wait == math.huge and 0 or wait,
  rec.want + rec.back > 0 and call('ZRANK', l, me) or -1, table.concat(counts, ','), win, of }
`

/** The name under which the engine keeps the script: its SHA-1. A test holds it to the text. */
export const sha = "1fc50b289db56f2627faf7ed79d464a06138151c"

/**
 * What the engine does, in one script. A worker reports what is, and is answered with its allotment; the engine knows no
 * single permit. All of it is on the engine's clock.
 *
 * | key | what it keeps |
 * |---|---|
 * | `m` | the quota: epoch, version, limits, sums, until when nothing is granted, and how large each other key is |
 * | `w` | the latest report of each worker, and what it was granted and asked for since |
 * | `e` | when each worker lapses |
 * | `a` | what each worker holds less what it owes: who is richest |
 * | `l` | who waits: background last, then who holds least, then by ticket |
 * | `r`, `o` | who has idle connections, and who has had one for longer than `turn` |
 * | `c` | when attempts ended, the latest first |
 * | `s` | until when permits that were given back count |
 *
 * Half of this is worse than nothing: if one key is not as large as the quota says, or if a worker remembers a later
 * version or epoch than the engine, all of it is dropped, and an epoch begins in which nothing is granted until every
 * worker has reported.
 */
export const script = `local m, w, e, a, l, r, o, c, s = unpack(KEYS)
local call = redis.call
local function arg(i) return tonumber(ARGV[i]) end
local me, seq, held, want, back, spare = ARGV[1], arg(2), arg(3), arg(4), arg(5), arg(6)
local ttl, recovery, settle, mode = arg(22), arg(23), arg(24), ARGV[25]
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local micros = time[1] * 1000000 + time[2]
local later = 2251799813685248

local meta = {}
local raw = call('HGETALL', m)
for i = 1, #raw, 2 do meta[raw[i]] = raw[i + 1] end
local function get(field) return tonumber(meta[field] or '0') end

local epoch, known = meta.ep, ARGV[17]
local lost = not epoch or get('nw') ~= call('HLEN', w) or get('nw') ~= call('ZCARD', e) or get('nw') ~= call('ZCARD', a)
  or get('nl') ~= call('ZCARD', l) or get('nr') ~= call('ZCARD', r) or get('no') ~= call('ZCARD', o)
  or get('nc') ~= call('LLEN', c) or get('ns') ~= call('LLEN', s)
if not lost and known ~= '' then
  if known == epoch then lost = arg(18) > get('v') else lost = known > epoch end
end
if lost then
  call('DEL', m, w, e, a, l, r, o, c, s)
  epoch = string.format('%017.0f', math.max(micros, tonumber(epoch or '0') + 1, tonumber(known ~= '' and known or '0') + 1))
  meta = { limit = meta.limit or ARGV[26], win = meta.win or ARGV[27], of = meta.of or ARGV[36], pause = meta.pause, rp = meta.rp, lvl = meta.lvl, learn = now + recovery }
end
local learn, pause = get('learn'), get('pause')
local used, pend, debts, soon = get('used'), get('pend'), get('debts'), get('soon')
local wants, backs, ticket = get('wants'), get('backs'), get('ticket')
local limit, win, of, rp, lvl = get('limit'), meta.win or '', meta.of or '', get('rp'), get('lvl')

-- The engine was away, or is another process than before: nobody could renew, and it may have fallen back.
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
local isOther = ARGV[19] == '1'
if run ~= '' then isOther = not lost and run ~= meta.run end
if not lost and get('nw') > 0 and (isOther or now - get('seen') > ttl / 2) then
  learn = math.max(learn, now + recovery)
  local ends = call('ZRANGE', e, 0, -1, 'WITHSCORES')
  for i = 1, #ends, 2 do
    if tonumber(ends[i + 1]) < now + ttl then call('ZADD', e, now + ttl, ends[i]) end
  end
elseif not lost and isOther then
  learn = math.max(learn, now + recovery)
end

local packed = call('HGET', w, me)
local isOld = packed and seq <= tonumber(string.match(packed, '%d+'))
if not isOld then
  -- Until all have told what they hold, who knows the latest limits tells these, too: the latest resize counts, however often
  -- the engine has begun anew or fallen back since.
  if now < learn then
    if ARGV[36] > of then limit, win, of = arg(26), ARGV[27], ARGV[36] end
  elseif of == '' then of = epoch end
  if ARGV[28] ~= '' then limit = arg(28) end
  if ARGV[29] ~= '-' then win = ARGV[29] end
  if ARGV[28] ~= '' or ARGV[29] ~= '-' then
    of = string.format('%017.0f', math.max(micros, (tonumber(of) or 0) + 1, (tonumber(ARGV[36]) or 0) + 1))
  end
  if arg(30) > 0 then pause = math.max(pause, now + arg(30)) end
end
local windows, most = {}, 0
for bound, millis in string.gmatch(win, '(%d+):(%d+)') do
  windows[#windows + 1] = { tonumber(bound), tonumber(millis) }
  most = math.max(most, tonumber(bound))
end

local function stamp(count)
  if most == 0 then return end
  for _ = 1, math.min(count, most) do call('LPUSH', c, now) end
  if count > 0 then call('LTRIM', c, 0, most - 1) end
end
local function rest(count)
  if settle == 0 then return end
  for _ = 1, count do call('RPUSH', s, now + settle) end
end

local fields = { 'seq', 'held', 'allot', 'want', 'back', 'spare', 'trying', 'tried', 'given', 'aski', 'askl', 'out', 'old', 'ticket', 'refused', 'well', 'granted', 'outi' }
local cache = {}
local function load(x)
  if cache[x] == nil then
    local packed = call('HGET', w, x)
    if packed then
      local rec, i = {}, 1
      for value in string.gmatch(packed, '%S+') do
        rec[fields[i]] = tonumber(value)
        i = i + 1
      end
      cache[x] = rec
    else cache[x] = false end
  end
  return cache[x]
end
local function rank(key, score, x)
  if score > 0 then call('ZADD', key, score, x) else call('ZREM', key, x) end
end
local function forget(x)
  local rec = load(x)
  if rec then
    used, pend, wants, backs = used - rec.allot, pend - rec.trying, wants - rec.want, backs - rec.back
    debts, soon = debts - rec.out, soon - rec.outi
    stamp(rec.trying)
    rest(rec.allot)
  end
  cache[x] = false
  call('HDEL', w, x)
  for _, key in ipairs({ e, a, l, r, o }) do call('ZREM', key, x) end
end
local function place(x, rec, number)
  local score = math.min(rec.allot, 524287) * 4294967296 + number % 4294967296
  if rec.want > 0 then call('ZADD', l, score, x)
  elseif rec.back > 0 then call('ZADD', l, later + score, x)
  else call('ZREM', l, x) end
end

if now >= learn then
  for _, x in ipairs(call('ZRANGEBYSCORE', e, '-inf', now, 'LIMIT', 0, 100)) do
    if x ~= me then forget(x) end
  end
end

local rec = load(me)
if isOld then
  -- One that was overtaken, or comes twice: what came later says what is.
elseif ARGV[20] == '1' then
  if rec then
    used = used - rec.allot
    rec.allot = 0
    rest(math.max(arg(9) - rec.given, 0))
    stamp(math.max(arg(8) - rec.tried, 0))
    pend = pend - rec.trying
    rec.trying = 0
  end
  forget(me)
else
  if not rec then
    rec = { seq = 0, held = 0, allot = 0, want = 0, back = 0, spare = 0, trying = 0, tried = arg(8), given = arg(9), aski = arg(10), askl = arg(11), out = 0, old = 0, ticket = 0, refused = arg(14), well = arg(16), granted = arg(33), outi = 0 }
    cache[me] = rec
  end
  if ARGV[21] ~= '' and most > 0 then
    local ends = call('LRANGE', c, 0, -1)
    for age in string.gmatch(ARGV[21], '%d+') do ends[#ends + 1] = now - tonumber(age) end
    table.sort(ends, function(x, y) return tonumber(x) > tonumber(y) end)
    call('DEL', c)
    for i = 1, math.min(#ends, most) do call('RPUSH', c, ends[i]) end
  end
  used = used - rec.allot + held
  rest(math.max(arg(9) - rec.given, 0))
  stamp(math.max(arg(8) - rec.tried, 0))
  pend = pend - rec.trying + arg(7)
  if arg(16) > rec.well then lvl = 0 end
  if arg(14) > rec.refused then
    if arg(15) >= 0 then
      rp = math.max(rp, now + arg(15))
    elseif now >= rp then
      rp = now + math.min(1000 * 2 ^ lvl, 60000)
      lvl = math.min(lvl + 1, 16)
    end
    pause = math.max(pause, rp)
  end
  local outi = math.max(rec.aski - arg(10), 0) + arg(34)
  local out = math.max(rec.aski - arg(10), 0) + math.max(rec.askl - arg(11), 0) + arg(12)
  debts, soon = debts - rec.out + out, soon - rec.outi + outi
  wants = wants - rec.want + want
  backs = backs - rec.back + back
  -- Who was served, or begins to wait, goes to the end of those who hold as much.
  if want + back == 0 then rec.ticket = 0
  elseif rec.ticket == 0 or arg(33) > rec.granted or (want > 0 and rec.want == 0 and rec.allot <= rec.held) then
    ticket = ticket + 1
    rec.ticket = ticket
  end
  rec.seq, rec.held, rec.allot, rec.want, rec.back, rec.spare, rec.trying = seq, held, held, want, back, spare, arg(7)
  rec.tried, rec.given, rec.out, rec.outi, rec.old = arg(8), arg(9), out, outi, arg(13)
  rec.refused, rec.well, rec.granted = arg(14), arg(16), arg(33)
  call('ZADD', e, now + ttl, me)
  -- Who cannot give up any of its leases now is asked for none.
  call('ZADD', a, ARGV[35] == '1' and 0 or held - out, me)
  rank(r, spare, me)
  rank(o, rec.old, me)
  place(me, rec, rec.ticket)
end

while true do
  local first = call('LINDEX', s, 0)
  if not first or tonumber(first) > now then break end
  call('LPOP', s)
end
local settling = call('LLEN', s)

local wait, told, isFull, isHeldUp = 0, {}, false, false
if now < learn then wait = learn - now
elseif now < pause then wait = pause - now
else
  for _ = 1, 1000 do
    local head = call('ZRANGE', l, 0, 0)[1]
    if not head then break end
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
    local x = load(head)
    x.allot, x.trying, used, pend = x.allot + 1, x.trying + 1, used + 1, pend + 1
    if x.want > 0 then
      x.want, wants = x.want - 1, wants - 1
    else
      x.back, backs = x.back - 1, backs - 1
    end
    ticket = ticket + 1
    place(head, x, ticket)
    call('ZINCRBY', a, 1, head)
    if head ~= me then told[head] = true end
  end
end
for x in pairs(told) do
  local rec = load(x)
  call('PUBLISH', ARGV[31] .. x, 'g ' .. epoch .. ' ' .. rec.seq .. ' ' .. rec.allot)
end

-- Who is short, and whose connections are to be given up for them.
local asked = {}
local function ask(x, kind)
  local rec = load(x)
  if kind == 'idle' then
    rec.aski, rec.spare, rec.outi, soon = rec.aski + 1, rec.spare - 1, rec.outi + 1, soon + 1
    rank(r, rec.spare, x)
  else
    rec.askl, rec.old = rec.askl + 1, math.max(rec.old - 1, 0)
    rank(o, rec.old, x)
  end
  rec.out, debts = rec.out + 1, debts + 1
  call('ZINCRBY', a, -1, x)
  asked[x] = true
  return true
end
local function takeIdle(x)
  -- Who waits although it has idle ones wants a new one: its own go first.
  if x and load(x).spare > 0 then return ask(x, 'idle') end
  local idle = call('ZREVRANGE', r, 0, 0)[1]
  return idle and ask(idle, 'idle')
end
local function takeLeased(x, holding)
  local rich = call('ZREVRANGE', a, 0, 1, 'WITHSCORES')
  local i = rich[1] == x and 3 or 1
  if not rich[i] then return false end
  local net = tonumber(rich[i + 1])
  if net >= (x and holding + 2 or 1) then return ask(rich[i], 'leased') end
  if x and holding == 0 then
    local old = call('ZREVRANGE', o, 0, 1)
    local one = old[1] == x and old[2] or old[1]
    if one and load(one).allot > load(one).out then return ask(one, 'leased') end
  end
  return false
end
local function reclaim()
  -- What comes soon, and what comes when a lease ends.
  local near, far = soon + settling, debts - soon
  for _ = 1, math.min(math.max(used - limit, 0), 100) do
    if near > 0 then near = near - 1
    -- Nothing waits for a lease to end while there is an idle one.
    elseif not takeIdle() then
      if far > 0 then far = far - 1
      elseif not takeLeased() then return end
    end
  end
  if mode == 'none' or not isFull or near >= wants then return end
  for _, x in ipairs(call('ZRANGE', l, 0, 49)) do
    local rec = load(x)
    for j = 0, rec.want - 1 do
      if near > 0 then near = near - 1
      elseif not takeIdle(x) then
        if far > 0 then far = far - 1
        elseif mode ~= 'fair' or not takeLeased(x, rec.allot + j) then return end
      end
    end
  end
end
if limit >= 0 and (isFull or used > limit) and now >= learn then reclaim() end
for x in pairs(asked) do
  if x ~= me then
    local rec = load(x)
    call('PUBLISH', ARGV[31] .. x, 'r ' .. epoch .. ' ' .. rec.aski .. ' ' .. rec.askl)
  end
end

if isFull or isHeldUp then
  wait = math.huge
  local ends = call('ZRANGE', e, 0, 0, 'WITHSCORES')
  if ends[2] then wait = math.max(tonumber(ends[2]) - now, 1) end
  local first = call('LINDEX', s, 0)
  if first then wait = math.min(wait, tonumber(first) - now) end
end

for x, rec in pairs(cache) do
  if rec then
    local packed = {}
    for i = 1, #fields do packed[i] = string.format('%.0f', rec[fields[i]]) end
    call('HSET', w, x, table.concat(packed, ' '))
  end
end
local version, kept = get('v') + 1, get('kept')
if now - kept > 3600000 then
  kept = now
  for i = 2, #KEYS do call('PEXPIRE', KEYS[i], 172800000) end
end
local workers = call('HLEN', w)
call('HSET', m, 'ep', epoch, 'v', version, 'used', used, 'pend', pend, 'debts', debts, 'soon', soon, 'wants', wants, 'backs', backs,
  'ticket', ticket % 4294967296, 'limit', limit, 'win', win, 'of', of, 'run', run, 'learn', learn, 'pause', pause, 'rp', rp, 'lvl', lvl,
  'seen', now, 'kept', kept, 'nw', workers, 'nl', call('ZCARD', l), 'nr', call('ZCARD', r), 'no', call('ZCARD', o),
  'nc', call('LLEN', c), 'ns', settling)
if kept == now then call('PEXPIRE', m, 172800000) end

local counts = {}
if ARGV[32] == '1' then
  local ends = call('LRANGE', c, 0, -1)
  for i = 1, #windows do
    local count = pend
    for j = 1, #ends do
      if tonumber(ends[j]) + windows[i][2] > now then count = count + 1 end
    end
    counts[i] = count
  end
end
local record = load(me) or { seq = seq, allot = 0, aski = 0, askl = 0 }
return { epoch, version, isOld and -1 or record.seq, record.allot, record.aski, record.askl, limit, used + settling, wants + backs, workers,
  math.max(learn - now, 0), math.max(pause - now, 0), wait == math.huge and 0 or wait, call('ZRANK', l, me) or -1, table.concat(counts, ','), win, of }
`

/** The name under which the engine keeps the script: its SHA-1. A test holds it to the text. */
export const sha = "def75dd0a07bb4ddab13b50d04947a48cba2e9fd"

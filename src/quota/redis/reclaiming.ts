/**
 * The part of the script that asks for connections back. Idle ones come first, then those who hold most are asked for a lease;
 * what was asked for and has not come yet counts, so that nobody is asked for more than are short.
 */
export const reclaiming = `-- Who is short, and whose connections are to be given up for them.
local debtors = {}
if limit >= 0 and (isFull or used > limit) and now >= learn then
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
    rec.net = rec.net - 1
    call('ZADD', a, rec.net, x)
    debtors[x] = true
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
  reclaim()
end
for x in pairs(debtors) do
  if x ~= me then
    local rec = load(x)
    call('PUBLISH', ARGV[6] .. x, 'r ' .. epoch .. ' ' .. rec.aski .. ' ' .. rec.askl)
  end
end

`

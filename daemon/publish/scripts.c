#include "scripts.h"

/* clang-format off: the texts below are Lua. */

/* KEYS header, lease; ARGV nonce, nonce and seq that were read ('' if there was none), ms that the lease is given (0: there
 * are no leases), its holder, '1': one of that holder is ours, nonces of leases that are ours, too
 * -> {0}, {2, holder of the lease} or {1, seq, term, told, again}. */
static const char acquire_text[] =
    "local lease = ARGV[4] ~= '0' and redis.call('GET', KEYS[2])\n"
    "if lease then\n"
    "  local n, holder = string.match(lease, '^(%S+) (.*)$')\n"
    "  if n ~= ARGV[7] and n ~= ARGV[8] and not (ARGV[6] == '1' and holder == ARGV[5]) then return {2, holder or ''} end\n"
    "end\n"
    "local h = redis.call('HMGET', KEYS[1], 'nonce', 'seq', 'term')\n"
    "if (h[1] or '') ~= ARGV[2] or (h[2] or '') ~= ARGV[3] then return {0} end\n"
    "local t = redis.call('TIME')\n"
    "local term = math.max((tonumber(h[3] or '0') or 0) + 1, tonumber(t[1]) * 1000000 + tonumber(t[2]))\n"
    "local seq = string.format('%.0f', (tonumber(h[2] or '0') or 0) + 1)\n"
    "term = string.format('%.0f', term)\n"
    "redis.call('HSET', KEYS[1], 'nonce', ARGV[1], 'seq', seq, 'term', term)\n"
    "if ARGV[4] ~= '0' then redis.call('SET', KEYS[2], ARGV[1] .. ' ' .. ARGV[5], 'PX', ARGV[4]) end\n"
    "return {1, seq, term, redis.call('HGET', KEYS[1], 'told') or '0',\n"
    "        redis.call('HGET', KEYS[1], 'again') or '0'}\n";

/* KEYS header, hash; ARGV nonce, seq, cursor, count -> {0}: another header, or {1, which server this is, next cursor, its
 * fields and values}. The server is the process: '?' for who may not ask. */
static const char piece_text[] =
    "local h = redis.call('HMGET', KEYS[1], 'nonce', 'seq')\n"
    "if h[1] ~= ARGV[1] or h[2] ~= ARGV[2] then return {0} end\n"
    "local info = redis.pcall('INFO', 'server')\n"
    "local server = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or '?'\n"
    "local found = redis.call('HSCAN', KEYS[2], ARGV[3], 'COUNT', ARGV[4])\n"
    "return {1, server, found[1], found[2]}\n";

/* KEYS header, state, final, log, active, ids, outbox; ARGV nonce, seq, next seq, log cap, then operations:
 *   t <state key> <JSON> <id, '' if there is none> <1 = is active> <outbox field, '' = no notification>
 *   s <state key> <bytes> | x <state key> | f <KPI:window> <boundary>
 * -> {0, nonce, seq} or {1, number of notifications that the outbox had no room for}. */
static const char alerts_text[] =
    "local h = redis.call('HMGET', KEYS[1], 'nonce', 'seq')\n"
    "if h[1] ~= ARGV[1] or h[2] ~= ARGV[2] then return {0, h[1] or '', h[2] or ''} end\n"
    "local cap, full = ARGV[4], 0\n"
    "local function settle(key)\n"
    "  local id = redis.call('HGET', KEYS[6], key)\n"
    "  if id then redis.call('HDEL', KEYS[5], id); redis.call('HDEL', KEYS[6], key) end\n"
    "end\n"
    "local function step(key, json, id, active, field)\n"
    "  redis.call('XADD', KEYS[4], 'MAXLEN', '~', cap, '*', 'id', id, 'json', json)\n"
    "  settle(key)\n"
    "  if active == '1' then redis.call('HSET', KEYS[5], id, json); redis.call('HSET', KEYS[6], key, id) "
    "end\n"
    "  if field == '' then return end\n"
    "  if redis.call('HLEN', KEYS[7]) < tonumber(cap) or redis.call('HEXISTS', KEYS[7], field) == 1 then\n"
    "    redis.call('HSET', KEYS[7], field, json)\n"
    "  else full = full + 1 end\n"
    "end\n"
    "local i = 5\n"
    "while i <= #ARGV do\n"
    "  local op, key, value = ARGV[i], ARGV[i + 1], ARGV[i + 2]\n"
    "  if op == 't' then step(key, value, ARGV[i + 3], ARGV[i + 4], ARGV[i + 5]); i = i + 6\n"
    "  elseif op == 's' then redis.call('HSET', KEYS[2], key, value); i = i + 3\n"
    "  elseif op == 'f' then redis.call('HSET', KEYS[3], key, value .. ' ' .. ARGV[3]); i = i + 3\n"
    "  else redis.call('HDEL', KEYS[2], key); settle(key); i = i + 2 end\n"
    "end\n"
    "redis.call('HSET', KEYS[1], 'seq', ARGV[3])\n"
    "return {1, full}\n";

/* KEYS snap, hist, wins, win ...; ARGV term, tick, ttl, ttl of win, history cap, history groups, history, the last
 * term:tick that was acknowledged, then operations of six: bits, number of the win key or 0, field, start, revision, JSON.
 * -> {0, term:tick found}, {2}: that last one was lost, or {1, starts that fell out of kpi:wins ...}: the caller removes
 * those. */
static const char snapshots_text[] =
    "local term, tick = tonumber(ARGV[1]), tonumber(ARGV[2])\n"
    "local found = redis.call('HGET', KEYS[1], '@writer')\n"
    "local t, k = string.match(found or '', '^(%d+):(%d+)$')\n"
    "t, k = tonumber(t or '0'), tonumber(k or '0')\n"
    "if found and (term < t or (term == t and tick <= k)) then return {0, found} end\n"
    "local last, lastk = string.match(ARGV[8], '^(%d+):(%d+)$')\n"
    "last, lastk = tonumber(last), tonumber(lastk)\n"
    "if t < last or (t == last and k < lastk) then return {2} end\n"
    "local snap, touched = KEYS[1], {}\n"
    "local groups, history = tonumber(ARGV[6]), tonumber(ARGV[7])\n"
    "for i = 9, #ARGV, 6 do\n"
    "  local op, win, field, json = tonumber(ARGV[i]), KEYS[tonumber(ARGV[i + 1])], ARGV[i + 2], ARGV[i + "
    "5]\n"
    "  if op == 0 then redis.call('HDEL', snap, field, field .. '@final') end\n"
    "  if bit.band(op, 1) ~= 0 then redis.call('HSET', snap, field, json) end\n"
    "  if bit.band(op, 2) ~= 0 then redis.call('HSET', snap, field .. '@final', json) end\n"
    "  if bit.band(op, 4) ~= 0 then redis.call('HSET', win, field, json); touched[win] = ARGV[i + 3] end\n"
    "  if bit.band(op, 8) ~= 0 then\n"
    "    local entry = {'start', ARGV[i + 3], 'revision', ARGV[i + 4], 'json', json}\n"
    "    if bit.band(op, 64) ~= 0 then entry[7], entry[8] = 'restarted', '1' end\n"
    "    redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[5], '*', unpack(entry))\n"
    "  end\n"
    "  if bit.band(op, 16) ~= 0 and (redis.call('HEXISTS', win, field) == 1\n"
    "      or redis.call('HLEN', win) < groups + redis.call('HEXISTS', win, '*')) then\n"
    "    redis.call('HSET', win, field, json); touched[win] = ARGV[i + 3]\n"
    "  end\n"
    "  if bit.band(op, 128) ~= 0 then redis.call('HDEL', win, field) end\n"
    "end\n"
    "for win, start in pairs(touched) do\n"
    "  redis.call('ZADD', KEYS[3], start, start)\n"
    "  if ARGV[4] ~= '0' then redis.call('PEXPIRE', win, ARGV[4]) end\n"
    "end\n"
    "redis.call('HSET', snap, '@writer', ARGV[1] .. ':' .. ARGV[2])\n"
    "if ARGV[3] ~= '0' then for k = 1, 3 do redis.call('PEXPIRE', KEYS[k], ARGV[3]) end end\n"
    "local out, over = {1}, redis.call('ZCARD', KEYS[3]) - history\n"
    "if over > 0 then\n"
    "  for _, start in ipairs(redis.call('ZRANGE', KEYS[3], 0, math.min(over, 128) - 1)) do out[#out + 1] = "
    "start end\n"
    "end\n"
    "return out\n";

/* KEYS snap, wins, win ...; ARGV term, start ... */
static const char prune_text[] =
    "local t = string.match(redis.call('HGET', KEYS[1], '@writer') or '', '^(%d+):')\n"
    "if t and tonumber(t) > tonumber(ARGV[1]) then return 0 end\n"
    "for k = 3, #KEYS do redis.call('UNLINK', KEYS[k]) end\n"
    "for i = 2, #ARGV do redis.call('ZREM', KEYS[2], ARGV[i]) end\n"
    "return 1\n";

/* KEYS header, outbox; ARGV nonce, field, JSON that was sent. A later step under the same field stays. */
static const char confirm_text[] =
    "if redis.call('HGET', KEYS[1], 'nonce') ~= ARGV[1] then return 0 end\n"
    "if redis.call('HGET', KEYS[2], ARGV[2]) == ARGV[3] then redis.call('HDEL', KEYS[2], ARGV[2]) end\n"
    "return 1\n";

/* KEYS index; ARGV KPI, JSON ...: the whole index; what is not named goes. */
static const char index_text[] =
    "local keep = {}\n"
    "for i = 1, #ARGV, 2 do keep[ARGV[i]] = true; redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end\n"
    "for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do\n"
    "  if not keep[name] then redis.call('HDEL', KEYS[1], name) end\n"
    "end\n"
    "return 1\n";

/* KEYS writer, value ...; ARGV term, tick, ttl of the writer, the last term:tick that was acknowledged, then for each
 * value: ttl, bytes ('': it goes). -> {0, term:tick found}, {2}: that last one was lost, or {1}. */
static const char values_text[] =
    "local term, tick = tonumber(ARGV[1]), tonumber(ARGV[2])\n"
    "local found = redis.call('GET', KEYS[1])\n"
    "local t, k = string.match(found or '', '^(%d+):(%d+)$')\n"
    "t, k = tonumber(t or '0'), tonumber(k or '0')\n"
    "if found and (term < t or (term == t and tick <= k)) then return {0, found} end\n"
    "local last, lastk = string.match(ARGV[4], '^(%d+):(%d+)$')\n"
    "last, lastk = tonumber(last), tonumber(lastk)\n"
    "if t < last or (t == last and k < lastk) then return {2} end\n"
    "for k = 2, #KEYS do\n"
    "  local ttl, bytes = ARGV[2 * k + 1], ARGV[2 * k + 2]\n"
    "  if bytes == '' then redis.call('UNLINK', KEYS[k])\n"
    "  elseif ttl == '0' then redis.call('SET', KEYS[k], bytes) else redis.call('SET', KEYS[k], bytes, 'PX', ttl) end\n"
    "end\n"
    "redis.call('SET', KEYS[1], ARGV[1] .. ':' .. ARGV[2])\n"
    "if ARGV[3] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end\n"
    "return {1}\n";

/* KEYS header, lease, instances, final, notes; ARGV nonce ('': does not publish), ms of the lease, the instance, its
 * process, its record, ms after which one that is silent is forgotten, nonce:seq:told of the finals that are known
 * ('-': they are not asked for), the publisher's `told`, then its notes: field, text ...
 * -> {Redis' time in us, nonce, nonce:seq:told, lease, process of the record that stood there, instances, finals, notes}. */
static const char presence_text[] =
    "local t = redis.call('TIME')\n"
    "local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)\n"
    "local h = redis.call('HMGET', KEYS[1], 'nonce', 'seq', 'told')\n"
    "local nonce = h[1] or ''\n"
    "local known = nonce .. ':' .. (h[2] or '') .. ':' .. (h[3] or '')\n"
    "if nonce ~= '' and nonce == ARGV[1] then\n"
    "  redis.call('SET', KEYS[2], nonce .. ' ' .. ARGV[3], 'PX', ARGV[2])\n"
    "  redis.call('HSET', KEYS[1], 'told', ARGV[8])\n"
    "  for i = 9, #ARGV, 2 do redis.call('HSET', KEYS[5], ARGV[i], ARGV[i + 1]) end\n"
    "end\n"
    "local before = string.match(redis.call('HGET', KEYS[3], ARGV[3]) or '', '^%d+ (%S+)')\n"
    "redis.call('HSET', KEYS[3], ARGV[3], string.format('%.0f', now) .. ' ' .. ARGV[4] .. ' ' .. ARGV[5])\n"
    "local all, instances, finals, notes = redis.call('HGETALL', KEYS[3]), {}, {}, {}\n"
    "for i = 1, #all, 2 do\n"
    "  local seen = tonumber(string.match(all[i + 1], '^%d+') or '0')\n"
    "  if seen < now - tonumber(ARGV[6]) then redis.call('HDEL', KEYS[3], all[i])\n"
    "  else instances[#instances + 1] = all[i]; instances[#instances + 1] = all[i + 1] end\n"
    "end\n"
    "if ARGV[7] ~= '-' then\n"
    "  notes = redis.call('HGETALL', KEYS[5])\n"
    "  if ARGV[7] ~= known then finals = redis.call('HGETALL', KEYS[4]) end\n"
    "end\n"
    "return {string.format('%.0f', tonumber(t[1]) * 1000000 + tonumber(t[2])), nonce, known, redis.call('GET', KEYS[2]) or '',\n"
    "        before or '', instances, finals, notes}\n";

/* KEYS lease, instances, header; ARGV nonce, instance, told: it leaves. */
static const char release_text[] =
    "local lease = redis.call('GET', KEYS[1])\n"
    "if lease and string.match(lease, '^%S+') == ARGV[1] then redis.call('DEL', KEYS[1]) end\n"
    "redis.call('HDEL', KEYS[2], ARGV[2])\n"
    "if redis.call('HGET', KEYS[3], 'nonce') == ARGV[1] then redis.call('HSET', KEYS[3], 'told', ARGV[3]) end\n"
    "return 1\n";

/* KEYS header, written; ARGV nonce, seq up to which readers have everything, then for each slot whose last stamp is another
 * one: its tag, the stamp, its ttl. */
static const char told_text[] =
    "if redis.call('HGET', KEYS[1], 'nonce') ~= ARGV[1] then return 0 end\n"
    "redis.call('HSET', KEYS[1], 'told', ARGV[2])\n"
    "redis.call('HDEL', KEYS[1], 'again')\n"
    "local now = tonumber(redis.call('TIME')[1]) * 1000\n"
    "for i = 3, #ARGV, 3 do\n"
    "  local ttl = tonumber(ARGV[i + 2])\n"
    "  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1] .. ':' .. string.format('%.0f', ttl > 0 and now + ttl or 0))\n"
    "end\n"
    "return 1\n";

/* KEYS header; ARGV nonce: readers may lack what they were told; it is told again. */
static const char again_text[] =
    "if redis.call('HGET', KEYS[1], 'nonce') ~= ARGV[1] then return 0 end\n"
    "redis.call('HSET', KEYS[1], 'again', '1')\n"
    "return 1\n";

/* clang-format on */

const char *kpid_script_text(enum kpid_script_name name)
{
    switch (name) {
    case KPID_SCRIPT_ACQUIRE: return acquire_text;
    case KPID_SCRIPT_PIECE: return piece_text;
    case KPID_SCRIPT_ALERTS: return alerts_text;
    case KPID_SCRIPT_SNAPSHOTS: return snapshots_text;
    case KPID_SCRIPT_PRUNE: return prune_text;
    case KPID_SCRIPT_CONFIRM: return confirm_text;
    case KPID_SCRIPT_INDEX: return index_text;
    case KPID_SCRIPT_VALUES: return values_text;
    case KPID_SCRIPT_PRESENCE: return presence_text;
    case KPID_SCRIPT_RELEASE: return release_text;
    case KPID_SCRIPT_TOLD: return told_text;
    case KPID_SCRIPT_AGAIN: return again_text;
    case KPID_SCRIPT_N: break;
    }
    return "";
}

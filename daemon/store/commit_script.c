/* clang-format off: a table */
/*
 * One commit.
 *   KEYS  header, manifest, orphans, then the key of each new page
 *   ARGV  1 nonce, 2 seq that it builds on ('' and '': no header), 3 nonce, 4 seq to write, 5 format, 6 meta,
 *         7 '1': reset, 8 '1': the pages were staged, 9 number of pages,
 *         for each page: id, its entry in the manifest ('<name> <length> <xxh64>'), its bytes (staged: their length),
 *         then the ids that are dropped
 *   ->    {'ok'}
 *         {'refused', nonce, seq}  the header found
 *         {'lost'}                 the manifest has not as many pages as the header says, and this is no whole state
 *         {'unstaged', key}        a staged page is not there
 * Redis runs a script as a whole but does not undo one that fails, so all that can fail comes before the
 * first write: the types of the keys are looked at, and Redis itself refuses the first write when it is out
 * of memory or read-only. The header moves last, and counts the pages, so that an acquisition would notice
 * even the impossible.
 */
/* clang-format on */
#include "scripts.h"

const char KPID_SCRIPT_COMMIT[] =
    "local found = redis.call('HMGET', KEYS[1], 'nonce', 'seq', 'pages')\n"
    "local nonce, seq = found[1] or '', found[2] or ''\n"
    "if nonce ~= ARGV[1] or seq ~= ARGV[2] then return {'refused', nonce, seq} end\n"
    "local reset, staged, n = ARGV[7] == '1', ARGV[8] == '1', tonumber(ARGV[9])\n"
    "if staged then\n"
    "  for i = 1, n do\n"
    "    if redis.call('STRLEN', KEYS[3 + i]) ~= tonumber(ARGV[9 + 3 * i]) then\n"
    "      return {'unstaged', KEYS[3 + i]}\n"
    "    end\n"
    "  end\n"
    "end\n"
    /* A whole state may repair keys that hold something else; a part of one must not. */
    "local function is(key, kind)\n"
    "  local found_kind = redis.call('TYPE', key)['ok']\n"
    "  return found_kind == kind or found_kind == 'none'\n"
    "end\n"
    "for key, kind in pairs({[KEYS[2]] = 'hash', [KEYS[3]] = 'set'}) do\n"
    "  if not is(key, kind) then\n"
    "    if not reset then return redis.error_reply('WRONGTYPE ' .. key) end\n"
    "    redis.call('UNLINK', key)\n"
    "  end\n"
    "end\n"
    /* What is left of a manifest that Redis lost must not become whole by being counted again. */
    "if not reset and redis.call('HLEN', KEYS[2]) ~= tonumber(found[3] or '') then return {'lost'} end\n"
    /* Lua's stack bounds how many arguments a call takes. */
    "local function all(command, key, list)\n"
    "  for i = 1, #list, 1000 do\n"
    "    redis.call(command, key, unpack(list, i, math.min(i + 999, #list)))\n"
    "  end\n"
    "end\n"
    "local function name_of(entry) return string.match(entry, '^%S*') end\n"
    "local orphans, entries, names = {}, {}, {}\n"
    "if reset then\n"
    "  for _, entry in ipairs(redis.call('HVALS', KEYS[2])) do orphans[#orphans + 1] = name_of(entry) end\n"
    "  redis.call('UNLINK', KEYS[2])\n"
    "end\n"
    "for i = 1, n do\n"
    "  local at = 7 + 3 * i\n"
    "  if not staged then redis.call('SET', KEYS[3 + i], ARGV[at + 2]) end\n"
    "  entries[#entries + 1] = ARGV[at]\n"
    "  entries[#entries + 1] = ARGV[at + 1]\n"
    "  names[#names + 1] = name_of(ARGV[at + 1])\n"
    "end\n"
    "all('HSET', KEYS[2], entries)\n"
    "if staged then all('SREM', KEYS[3], names) end\n"
    "for i = 10 + 3 * n, #ARGV do\n"
    "  local entry = redis.call('HGET', KEYS[2], ARGV[i])\n"
    "  if entry then\n"
    "    orphans[#orphans + 1] = name_of(entry)\n"
    "    redis.call('HDEL', KEYS[2], ARGV[i])\n"
    "  end\n"
    "end\n"
    "all('SADD', KEYS[3], orphans)\n"
    "redis.call('HSET', KEYS[1], 'nonce', ARGV[3], 'seq', ARGV[4], 'format', ARGV[5], 'meta', ARGV[6],\n"
    "           'pages', redis.call('HLEN', KEYS[2]))\n"
    "redis.call('HDEL', KEYS[1], 'reset')\n"
    "return {'ok'}\n";

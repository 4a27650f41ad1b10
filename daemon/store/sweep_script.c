/*
 * Removes orphans, as long as the shard is still the caller's.
 *   KEYS  header, manifest, orphans, then the key of each page
 *   ARGV  the caller's nonce, then for each page: id, name
 *   ->    1, or 0: another owner's, nothing was done
 * Whether a page is needed is asked of the manifest at this moment, so that nothing that was known earlier
 * matters.
 */
#include "scripts.h"

const char KPID_SCRIPT_SWEEP[] =
    "if redis.call('HGET', KEYS[1], 'nonce') ~= ARGV[1] then return 0 end\n"
    "for i = 4, #KEYS do\n"
    "  local id, name = ARGV[2 * i - 6], ARGV[2 * i - 5]\n"
    "  local entry = redis.call('HGET', KEYS[2], id)\n"
    "  if not entry or string.match(entry, '^%S*') ~= name then redis.call('UNLINK', KEYS[i]) end\n"
    "  redis.call('SREM', KEYS[3], name)\n"
    "end\n"
    "return 1\n";

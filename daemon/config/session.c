/* `session:` of a measure. */
#include <inttypes.h>

#include "keyed.h"

void kpid_session_load(struct kpid_loader *loader, struct kpid_measure *measure, struct kpid_yaml *map)
{
    if (!kpid_yaml_key(map, "gap"))
        kpid_keyed_missing(loader, measure, map, "gap", "30m");
}

void kpid_session_print(const struct kpid_keyed_spec *spec, struct kpid_buf *out)
{
    kpid_buf_printf(out, "session %" PRId64 "\n", spec->session.gap_ms);
}

/* Names of the ledger's classes and reasons, from the tables in kpid/flow/reason.h. */
#include "kpid/flow/reason.h"

#include "kpid/macros.h"

static const char *const class_names[] = {
#define CLASS_NAME(id, name) [KPID_CLASS_##id] = name,
    KPID_CLASSES(CLASS_NAME)
#undef CLASS_NAME
};

static const struct {
    const char *name, *text;
} reasons[] = {
#define REASON_ROW(id, name, text) [KPID_REASON_##id] = {name, text},
    KPID_REASONS(REASON_ROW)
#undef REASON_ROW
};

const char *kpid_class_name(enum kpid_class class)
{
    return (unsigned)class < KPID_COUNT_OF(class_names) ? class_names[class] : "unknown";
}

const char *kpid_reason_name(enum kpid_reason reason)
{
    return (unsigned)reason < KPID_COUNT_OF(reasons) ? reasons[reason].name : "unknown";
}

const char *kpid_reason_text(enum kpid_reason reason)
{
    return (unsigned)reason < KPID_COUNT_OF(reasons) ? reasons[reason].text : "";
}

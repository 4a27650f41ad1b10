/* Working calendars: found by name, read from `calendars:` or from files of their own. */
#ifndef KPID_CONFIG_WORKTIME_H
#define KPID_CONFIG_WORKTIME_H

#include "loader.h"

/* `calendars:` of the configuration. */
void kpid_calendars_load(struct kpid_loader *loader, struct kpid_yaml *map);

/* The calendar that a clock names: one of `calendars:`, else NAME.yaml in the folder calendars/ beside the configuration
 * or among the installed ones; a name with a slash or the ending .yaml is a path from the configuration's folder. Each is
 * loaded once, and the model owns it. NULL: there is a fault, at `node` or in the calendar's own file. */
const struct kpid_worktime *kpid_calendar_want(struct kpid_loader *loader, const struct kpid_yaml *node);

/* Makes the spans of one calendar from its mapping. `work` is zeroed; false: there are faults and it holds nothing. */
bool kpid_worktime_load(struct kpid_loader *loader, const char *name, struct kpid_yaml *map,
                        struct kpid_worktime *work) KPID_MUST_CHECK;

#endif

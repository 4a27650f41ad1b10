/*
 * The classes of the ledger and the reasons of malformed events: one table each. Names are what counters, dead-letter
 * headers, kpictl and the manual show. Append only: numbers are stored.
 */
#ifndef KPID_FLOW_REASON_H
#define KPID_FLOW_REASON_H

/* In the order of test; `in` is the sum of all. */
#define KPID_CLASSES(X) \
    X(MALFORMED, "malformed") X(FUTURE, "future") X(LATE, "late") X(DUPLICATE, "duplicate") \
    X(FILTERED, "filtered") X(REFUSED, "refused") X(COUNTED, "counted")

enum kpid_class {
#define KPID_CLASS_ENUM(id, name) KPID_CLASS_##id,
    KPID_CLASSES(KPID_CLASS_ENUM)
#undef KPID_CLASS_ENUM
    KPID_CLASS_N
};

/* What goes to the dead letters says one of these. LATE and FUTURE are classes of their own and reasons here. */
#define KPID_REASONS(X) \
    X(NONE, "none", "") \
    X(EMPTY, "empty", "the message has no value") \
    X(FORMAT, "format", "the first byte begins neither a JSON object nor a MessagePack map") \
    X(SYNTAX, "syntax", "the value is damaged or cut short") \
    X(TRAILING, "trailing", "bytes follow the object") \
    X(DEPTH, "depth", "nested deeper than 32 levels") \
    X(UTF8, "utf8", "a string is not UTF-8") \
    X(NO_TYPE, "no_type", "the type field is absent or not a string") \
    X(NO_TIME, "no_time", "the time field is absent") \
    X(BAD_TIME, "bad_time", "the time field does not hold a time in the configured format") \
    X(TIME_RANGE, "time_range", "the time is before 1970 or after 2200") \
    X(BAD_ID, "bad_id", "the id is neither a string nor an integer") \
    X(WRONG_TYPE, "wrong_type", "a field that a measure computes with has the wrong type") \
    X(TOO_FINE, "too_fine", "a number has more digits than its field's scale") \
    X(TOO_LARGE, "too_large", "a number does not fit in 128 bits, or a string in the configured limit") \
    X(DIVISION, "division", "a value divides by zero") \
    X(LATE, "late", "later than allowed_lateness") \
    X(FUTURE, "future", "further ahead of the clock than max_future")

enum kpid_reason {
#define KPID_REASON_ENUM(id, name, text) KPID_REASON_##id,
    KPID_REASONS(KPID_REASON_ENUM)
#undef KPID_REASON_ENUM
    KPID_REASON_N
};

const char *kpid_class_name(enum kpid_class class);
const char *kpid_reason_name(enum kpid_reason reason);
const char *kpid_reason_text(enum kpid_reason reason);

#endif

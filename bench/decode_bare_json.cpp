/* See decode_bare.h. */
#define SIMDJSON_EXCEPTIONS 0
#include "decode_bare.h"

#include <simdjson.h>

#include <cstring>

namespace od = simdjson::ondemand;

static uint64_t walk_object(od::object object);

static uint64_t walk_value(od::value value)
{
    od::json_type type;
    std::string_view string;
    od::object object;
    double number;
    if (value.type().get(type) != simdjson::SUCCESS)
        return 0;
    switch (type) {
    case od::json_type::string: return value.get_string().get(string) ? 0 : string.size();
    case od::json_type::number: return value.get_double().get(number) ? 0 : static_cast<uint64_t>(number);
    case od::json_type::object: return value.get_object().get(object) ? 0 : walk_object(object);
    default: return 1;
    }
}

static uint64_t walk_object(od::object object)
{
    uint64_t sum = 0;
    for (auto item : object) {
        od::field field;
        std::string_view key;
        if (std::move(item).get(field) || field.unescaped_key().get(key))
            break;
        sum += key.size() + walk_value(field.value());
    }
    return sum;
}

uint64_t bare_json(const char *bytes, size_t len)
{
    static od::parser parser;
    static char padded[65536 + simdjson::SIMDJSON_PADDING];
    od::document document;
    od::object object;
    if (len > 65536)
        return 0;
    std::memcpy(padded, bytes, len);
    if (parser.iterate(padded, len, sizeof(padded)).get(document) || document.get_object().get(object))
        return 0;
    return walk_object(object);
}

/* The only C++ here, see json.h. Nothing throws: simdjson is built without exceptions. */
#define SIMDJSON_EXCEPTIONS 0
#include "json.h"

#include <simdjson.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

struct kpid_json {
    std::unique_ptr<simdjson::internal::dom_parser_implementation> scanner;
    size_t capacity = 0; /* of the scanner */
    struct {
        char *text = nullptr;
        size_t size = 0;
    } copies[KPID_JSON_KEPT]; /* in turn */
    unsigned turn = 0;
};

static const size_t first_size = 4096;

[[noreturn]] static void out_of_memory() noexcept
{
    std::fputs("kpid: out of memory\n", stderr);
    std::abort();
}

static size_t size_for(size_t size, size_t len) noexcept
{
    while (size < len)
        size *= 2;
    return size;
}

/* The next copy's place, with room for a document. */
static char *place_next(kpid_json *json, size_t len) noexcept
{
    auto &copy = json->copies[json->turn++ % KPID_JSON_KEPT];
    if (len > json->capacity) {
        json->capacity = size_for(json->capacity, len);
        if (json->scanner->set_capacity(json->capacity) != simdjson::SUCCESS)
            out_of_memory();
    }
    if (len > copy.size) {
        std::free(copy.text);
        copy.size = json->capacity;
        copy.text = static_cast<char *>(std::malloc(copy.size + simdjson::SIMDJSON_PADDING));
        if (!copy.text)
            out_of_memory();
    }
    return copy.text;
}

kpid_json *kpid_json_new(void)
{
    kpid_json *json = new (std::nothrow) kpid_json;
    if (!json || simdjson::get_active_implementation()->create_dom_parser_implementation(
                     first_size, simdjson::DEFAULT_MAX_DEPTH, json->scanner) != simdjson::SUCCESS)
        out_of_memory();
    json->capacity = first_size;
    for (unsigned i = 0; i < KPID_JSON_KEPT; i++)
        place_next(json, first_size);
    return json;
}

void kpid_json_free(kpid_json *json)
{
    if (!json)
        return;
    for (auto &copy : json->copies)
        std::free(copy.text);
    delete json;
}

kpid_json_status kpid_json_scan(kpid_json *json, const char *bytes, size_t len, kpid_json_tokens *ret)
{
    char *copy = place_next(json, len);
    std::memcpy(copy, bytes, len);
    std::memset(copy + len, 0, simdjson::SIMDJSON_PADDING);
    const uint8_t *text = reinterpret_cast<const uint8_t *>(copy);
    simdjson::error_code error = json->scanner->stage1(text, len, simdjson::stage1_mode::regular);
    if (error != simdjson::SUCCESS)
        return error == simdjson::UTF8_ERROR ? KPID_JSON_UTF8 : KPID_JSON_SYNTAX;
    uint32_t *starts = json->scanner->structural_indexes.get();
    starts[json->scanner->n_structural_indexes] = static_cast<uint32_t>(len);
    ret->text = copy;
    ret->starts = starts;
    ret->n = json->scanner->n_structural_indexes;
    return KPID_JSON_OK;
}

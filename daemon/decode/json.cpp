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
    char *text = nullptr;
    size_t size = 0;
};

static const size_t first_size = 4096;

[[noreturn]] static void out_of_memory() noexcept
{
    std::fputs("kpid: out of memory\n", stderr);
    std::abort();
}

static void grow(kpid_json *json, size_t len) noexcept
{
    size_t size = json->size ? json->size : first_size;
    while (size < len)
        size *= 2;
    std::free(json->text);
    json->text = static_cast<char *>(std::malloc(size + simdjson::SIMDJSON_PADDING));
    if (!json->text || json->scanner->set_capacity(size) != simdjson::SUCCESS)
        out_of_memory();
    json->size = size;
}

kpid_json *kpid_json_new(void)
{
    kpid_json *json = new (std::nothrow) kpid_json;
    if (!json || simdjson::get_active_implementation()->create_dom_parser_implementation(
                     first_size, simdjson::DEFAULT_MAX_DEPTH, json->scanner) != simdjson::SUCCESS)
        out_of_memory();
    grow(json, first_size);
    return json;
}

void kpid_json_free(kpid_json *json)
{
    if (!json)
        return;
    std::free(json->text);
    delete json;
}

kpid_json_status kpid_json_scan(kpid_json *json, const char *bytes, size_t len, kpid_json_tokens *ret)
{
    if (len > json->size)
        grow(json, len);
    std::memcpy(json->text, bytes, len);
    std::memset(json->text + len, 0, simdjson::SIMDJSON_PADDING);
    const uint8_t *text = reinterpret_cast<const uint8_t *>(json->text);
    simdjson::error_code error = json->scanner->stage1(text, len, simdjson::stage1_mode::regular);
    if (error != simdjson::SUCCESS)
        return error == simdjson::UTF8_ERROR ? KPID_JSON_UTF8 : KPID_JSON_SYNTAX;
    uint32_t *starts = json->scanner->structural_indexes.get();
    starts[json->scanner->n_structural_indexes] = static_cast<uint32_t>(len);
    ret->text = json->text;
    ret->starts = starts;
    ret->n = json->scanner->n_structural_indexes;
    return KPID_JSON_OK;
}

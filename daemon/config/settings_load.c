/* The top of the file: kafka, redis, publish, http, history and single settings. */
#include <stdlib.h>
#include <string.h>

#include "settings.h"

/* Properties that kpid decides itself: correctness rests on them. */
static const char *const owned_properties[] = {
    "bootstrap.servers", "metadata.broker.list", "group.id",
    "group.instance.id", "enable.auto.commit",   "enable.auto.offset.store",
    "auto.offset.reset", "enable.partition.eof", "isolation.level",
};

/* A section's mapping, NULL: not there or a fault. */
static struct kpid_yaml *section_open(struct kpid_loader *loader, struct kpid_yaml *root, const char *name)
{
    struct kpid_yaml *map = kpid_yaml_get(root, name);
    if (!map || kpid_yaml_is_null(map) || !kpid_want_map(loader, map, name))
        return NULL;
    kpid_settings_check_keys(loader, name, map, NULL);
    return map;
}

static void properties_load(struct kpid_loader *loader, struct kpid_yaml *kafka)
{
    struct kpid_yaml *map = kpid_yaml_get(kafka, "properties");
    if (!map || kpid_yaml_is_null(map) || !kpid_want_map(loader, map, "properties"))
        return;
    struct kpid_settings *settings = &loader->model->settings;
    settings->kafka.properties = kpid_zalloc(map->n + 1, sizeof *settings->kafka.properties);
    for (size_t i = 0; i < map->n; i++) {
        const struct kpid_yaml *key = map->keys[i];
        bool owned = false;
        for (size_t j = 0; j < KPID_COUNT_OF(owned_properties); j++)
            owned |= strcmp(key->text, owned_properties[j]) == 0;
        if (owned) {
            kpid_fault_add(&loader->faults, key->place, "kpid sets the property `%s` itself", key->text);
            kpid_fault_advise(&loader->faults,
                              "remove it; brokers, group and instance_id stand under kafka:");
            continue;
        }
        if (!kpid_want_text(loader, map->items[i], key->text))
            continue;
        struct kpid_pair *pair = &settings->kafka.properties[settings->kafka.n_properties++];
        pair->key = kpid_strdup(key->text);
        pair->value = kpid_env_expand(loader, map->items[i]);
    }
}

/* `snapshots: topic` or `snapshots: { topic, format }`. */
static void output_load(struct kpid_loader *loader, struct kpid_yaml *publish, const char *name,
                        char **ret_topic, uint8_t *ret_encoding)
{
    struct kpid_yaml *node = kpid_yaml_get(publish, name);
    if (!node || kpid_yaml_is_null(node))
        return;
    if (node->kind == KPID_YAML_SCALAR) {
        *ret_topic = kpid_strdup(node->text);
        return;
    }
    if (!kpid_want_map(loader, node, name))
        return;
    kpid_settings_check_keys(loader, "publish.*", node, NULL);
    struct kpid_yaml *topic = kpid_yaml_get(node, "topic"), *format = kpid_yaml_get(node, "format");
    if (!topic) {
        kpid_fault_add(&loader->faults, node->place, "publish.%s has no topic", name);
        kpid_fault_advise(&loader->faults, "write { topic: NAME, format: json }");
    } else if (kpid_want_text(loader, topic, "topic")) {
        *ret_topic = kpid_strdup(topic->text);
    }
    uint8_t encoding;
    if (format && kpid_want_choice(loader, format, "format", "json|msgpack", &encoding))
        *ret_encoding = encoding;
}

static void listen_check(struct kpid_loader *loader, const struct kpid_yaml *http)
{
    char **listen = &loader->model->settings.http.listen;
    const struct kpid_yaml *node = kpid_yaml_get(http, "listen");
    if (!*listen || !node)
        return;
    if (strcmp(*listen, "off") == 0) {
        free(*listen);
        *listen = NULL;
        return;
    }
    const char *colon = strrchr(*listen, ':');
    char *end = NULL;
    long port = colon ? strtol(colon + 1, &end, 10) : -1;
    if (!colon || colon == *listen || !colon[1] || *end || port < 0 || port > 65535) {
        kpid_fault_add(&loader->faults, node->place, "listen: `%s` is not an address and port", *listen);
        kpid_fault_advise(&loader->faults, "write address:port, such as 127.0.0.1:9464, or off");
    }
}

void kpid_redis_url_check(struct kpid_loader *loader, const struct kpid_yaml *node, const char *what, const char *url)
{
    static const char *const schemes[] = {"redis://", "unix:", "redis+sentinel://", "redis+cluster://"};
    for (size_t i = 0; i < KPID_COUNT_OF(schemes); i++)
        if (!*url || strncmp(url, schemes[i], strlen(schemes[i])) == 0)
            return;
    kpid_fault_add(&loader->faults, node->place, "%s begins neither with redis:// nor with unix:", what);
    kpid_fault_advise(&loader->faults, "write redis://[user:password@]host:port[/db], unix:/path, redis+sentinel://"
                                       "host:port,.../name or redis+cluster://host:port,...");
}

void kpid_settings_load(struct kpid_loader *loader, struct kpid_yaml *root)
{
    struct kpid_settings *settings = &loader->model->settings;
    if (root)
        kpid_settings_check_keys(loader, "", root, NULL);
    kpid_settings_read(loader, "", root, settings);
    const struct kpid_yaml *level = kpid_yaml_get(root, "log_level");
    uint8_t index;
    bool good =
        level && kpid_want_choice(loader, level, "log_level", "error|warning|notice|info|debug", &index);
    settings->log_level = kpid_strdup(good ? level->text : "info");

    struct kpid_yaml *kafka = section_open(loader, root, "kafka"),
                     *redis = section_open(loader, root, "redis");
    struct kpid_yaml *publish = section_open(loader, root, "publish"),
                     *http = section_open(loader, root, "http");
    struct kpid_yaml *history = section_open(loader, root, "history");
    kpid_settings_read(loader, "kafka", kafka, settings);
    kpid_settings_read(loader, "redis", redis, settings);
    kpid_settings_read(loader, "publish", publish, settings);
    kpid_settings_read(loader, "http", http, settings);
    kpid_settings_read(loader, "history", history, settings);
    properties_load(loader, kafka);
    output_load(loader, publish, "snapshots", &settings->publish.snapshots,
                &settings->publish.snapshots_encoding);
    output_load(loader, publish, "alerts", &settings->publish.alerts, &settings->publish.alerts_encoding);
    listen_check(loader, http);
    const struct kpid_yaml *url = kpid_yaml_get(redis, "url");
    if (url && settings->redis.url)
        kpid_redis_url_check(loader, url, "redis.url", settings->redis.url);

    const struct kpid_yaml *zone = kpid_yaml_get(root, "zone");
    const struct kpid_zone *named = zone ? kpid_zone_want(loader, zone) : NULL;
    loader->zone = named ? named : loader->model->zones[0];
}

/* SPDX-License-Identifier: MIT */
/*
 * What include/xenpv/blk.h says of configurations, names, looking, negotiating, and of a port that
 * cannot or does not give.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "faulty_port.h"
#include "plain_backend.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- configurations -------------------------------------------------------------------------- */

static void test_initial_configuration(void **state)
{
    struct xenpv_port port = {0};
    struct xenpv_blk_config config;

    (void)state;
    memset(&config, 0xa5, sizeof(config));
    xenpv_blk_config_init(&config, &port, "device/vbd/51712");
    assert_int_equal(config.size, sizeof(config));
    assert_ptr_equal(config.port, &port);
    assert_string_equal(config.path, "device/vbd/51712");
    assert_int_equal(config.queues, 1);
    assert_int_equal(config.ring_order, 0);
    assert_int_equal(config.segments, 64);
    assert_int_equal(config.operations, 32);
    assert_int_equal(config.buffer_pages, 352);
    assert_int_equal(config.shared_pages, 0);
    assert_int_equal(config.connect_ms, 30000);
    assert_int_equal(config.close_ms, 5000);
    assert_int_equal(config.recover_ms, 30000);
    assert_int_equal(config.without, 0);
    assert_int_equal(config.units, XENPV_UNITS_512);
    assert_int_equal(config.abi, XENPV_ABI_NATIVE);
    assert_false(config.poll);
    assert_false(config.own_memory);
    assert_true(xenpv_blk_size(&config) > 0);
}

static const struct {
    const char *name;
    size_t at;
    uint32_t least, most;
} ranges[] = {
    {"queues", offsetof(struct xenpv_blk_config, queues), 1, 64},
    {"ring_order", offsetof(struct xenpv_blk_config, ring_order), 0, 4},
    {"segments", offsetof(struct xenpv_blk_config, segments), 1, 4096},
    {"operations", offsetof(struct xenpv_blk_config, operations), 1, 4096},
    {"buffer_pages", offsetof(struct xenpv_blk_config, buffer_pages), 11, 65536},
    {"shared_pages", offsetof(struct xenpv_blk_config, shared_pages), 0, 65536},
    {"without", offsetof(struct xenpv_blk_config, without), 0, 255},
    {"units", offsetof(struct xenpv_blk_config, units), 0, XENPV_UNITS_COUNT - 1},
    {"abi", offsetof(struct xenpv_blk_config, abi), 0, XENPV_ABI_COUNT - 1},
    {"connect_ms", offsetof(struct xenpv_blk_config, connect_ms), 0, UINT32_MAX},
    {"close_ms", offsetof(struct xenpv_blk_config, close_ms), 0, UINT32_MAX},
    {"recover_ms", offsetof(struct xenpv_blk_config, recover_ms), 0, UINT32_MAX},
    {"size", offsetof(struct xenpv_blk_config, size), sizeof(struct xenpv_blk_config),
     sizeof(struct xenpv_blk_config)},
};

static struct xenpv_blk_config config_with(const struct xenpv_port *port, size_t field,
                                           uint32_t number)
{
    struct xenpv_blk_config config;

    xenpv_blk_config_init(&config, port, "device/vbd/51712");
    memcpy((uint8_t *)&config + ranges[field].at, &number, sizeof(number));
    return config;
}

static void assert_valid(const struct xenpv_blk_config *config, bool valid)
{
    size_t bytes = xenpv_blk_size(config);
    uint8_t *memory = aligned_alloc(16, valid ? ((bytes + 15) & ~(size_t)15) + 16 : 65536);
    struct xenpv_blk *blk = NULL;

    assert_int_equal(bytes != 0, valid);
    memset(memory, 0xa5, valid ? bytes + 1 : 65536);
    assert_int_equal(xenpv_blk_init(memory, config, &blk), valid ? XENPV_OK : XENPV_EINVAL);
    if (valid) {
        assert_non_null(blk);
        assert_int_equal(xenpv_blk_state(blk), XENPV_BLK_IDLE);
        assert_int_equal(memory[bytes], 0xa5);
    }
    free(memory);
}

static void test_ranges(void **state)
{
    struct xenpv_port port = {0};
    struct xenpv_blk_config config;

    (void)state;
    for (size_t i = 0; i < COUNT(ranges); i++) {
        struct {
            uint32_t number;
            bool valid;
        } tries[] = {{ranges[i].least, true},
                     {ranges[i].most, true},
                     {ranges[i].least - 1, ranges[i].least == 0 && ranges[i].most == UINT32_MAX},
                     {ranges[i].most + 1, ranges[i].least == 0 && ranges[i].most == UINT32_MAX}};

        for (size_t k = 0; k < COUNT(tries); k++) {
            config = config_with(&port, i, tries[k].number);
            assert_valid(&config, tries[k].valid);
        }
    }
    config = config_with(&port, 0, 1);
    config.port = NULL;
    assert_valid(&config, false);
    config = config_with(&port, 0, 1);
    config.path = NULL;
    assert_valid(&config, false);
    config = config_with(&port, 0, 1);
    config.poll = config.own_memory = true;
    assert_valid(&config, false);
}

static void test_paths(void **state)
{
    struct xenpv_port port = {0};
    struct xenpv_blk_config config;
    struct xenpv_blk *blk;
    char path[300];
    void *memory;

    (void)state;
    memset(path, 'a', sizeof(path));
    xenpv_blk_config_init(&config, &port, path);
    memory = aligned_alloc(16, (xenpv_blk_size(&config) + 15) & ~(size_t)15);
    for (size_t length = 0; length<sizeof(path); length += length> 250 && length < 258 ? 1 : 50) {
        memset(path, 'a', sizeof(path));
        path[length] = '\0';
        assert_int_equal(xenpv_blk_init(memory, &config, &blk),
                         length > 0 && length < XENPV_STORE_PATH_MAX ? XENPV_OK : XENPV_EINVAL);
    }
    free(memory);
}

static void test_names(void **state)
{
    static const char *const features[] = {"flush",      "barrier",  "discard",    "secure-discard",
                                           "persistent", "indirect", "large-ring", "multi-queue"};
    static const char *const units[] = {"512", "sector-size", "freebsd", "mini-os"};

    (void)state;
    assert_int_equal(COUNT(features), XENPV_BLK_FEATURES);
    for (uint32_t i = 0; i < COUNT(features); i++)
        assert_string_equal(xenpv_blk_feature_name(i), features[i]);
    assert_null(xenpv_blk_feature_name(XENPV_BLK_FEATURES));
    assert_null(xenpv_blk_feature_name(UINT32_MAX));
    for (uint32_t i = 0; i < COUNT(units); i++)
        assert_string_equal(xenpv_blk_units_name(i), units[i]);
    assert_null(xenpv_blk_units_name(XENPV_UNITS_COUNT));
    assert_null(xenpv_blk_units_name(UINT32_MAX));
}

/* ---- looking --------------------------------------------------------------------------------- */

/* A port that can only look connects to nothing, and looks as any. */
static void test_port_that_can_only_look(void **state)
{
    static const struct {
        bool grant, event;
    } ports[] = {{false, true}, {true, false}, {false, false}};

    (void)state;
    for (size_t i = 0; i < COUNT(ports); i++) {
        struct xenpv_blk_info info;
        struct rig rig;

        rig_up(&rig, &(struct rig_options){0});
        rig_rest(&rig);
        if (!ports[i].grant)
            rig.front_port.grant = NULL;
        if (!ports[i].event)
            rig.front_port.event = NULL;
        assert_int_equal(xenpv_blk_connect(rig.blk, 0), XENPV_ENOTSUP);
        assert_int_equal(xenpv_blk_state(rig.blk), XENPV_BLK_IDLE);
        assert_int_equal(xenpv_blk_inspect(rig.blk, 0), XENPV_OK);
        rig_until(&rig, XENPV_BLK_CLOSED);
        xenpv_blk_info(rig.blk, &info);
        assert_int_equal(info.backend_state, 2);
        assert_int_equal(info.queues, 1);
        rig_down(&rig);
    }
}

/* ---- what was negotiated --------------------------------------------------------------------- */

static const struct plain_key much[] = {{"max-ring-page-order", "3"},
                                        {"multi-queue-max-queues", "2"},
                                        {"feature-max-indirect-segments", "32"},
                                        {NULL, NULL}};
static const struct plain_key all_of_it[] = {
    {"sectors", "2048"},      {"feature-flush-cache", "1"},    {"feature-barrier", "1"},
    {"feature-discard", "1"}, {"discard-granularity", "8192"}, {"discard-alignment", "512"},
    {"discard-secure", "1"},  {"feature-persistent", "1"},     {NULL, NULL}};

struct expected {
    const char *key, *offered, *asked;
    enum xenpv_key_status status;
    uint64_t chosen;
    bool less; /* than offered: there is a reason */
};

static void assert_negotiated(const struct xenpv_blk *blk, const struct expected *expected)
{
    struct xenpv_negotiation found[XENPV_BLK_NEGOTIATIONS];

    assert_int_equal(xenpv_blk_negotiation(blk, found), XENPV_BLK_NEGOTIATIONS);
    for (size_t i = 0; i < XENPV_BLK_NEGOTIATIONS; i++) {
        assert_string_equal(found[i].key, expected[i].key);
        assert_int_equal(found[i].status, expected[i].status);
        assert_string_equal(found[i].offered, expected[i].offered);
        assert_string_equal(found[i].asked, expected[i].asked);
        assert_int_equal(found[i].chosen, expected[i].chosen);
        assert_int_equal(strlen(found[i].why) != 0, expected[i].less);
    }
}

#define GOOD   XENPV_KEY_GOOD
#define ABSENT XENPV_KEY_ABSENT
#define UNREAD XENPV_KEY_UNREAD

/* Each row: what is wanted of a backend that offers much, and what is told of it. */
static const struct {
    const char *what;
    struct rig_options options;
    const struct plain_key *offer, *answer;
    struct expected expected[XENPV_BLK_NEGOTIATIONS];
} negotiations[] = {
    {"all that is offered",
     {.queues = 4, .ring_order = 4},
     much,
     all_of_it,
     {{"max-ring-page-order", "3", "", GOOD, 3, false},
      {"max-ring-pages", "", "", ABSENT, 8, false},
      {"multi-queue-max-queues", "2", "", GOOD, 2, false},
      {"feature-max-indirect-segments", "32", "", GOOD, 32, false},
      {"feature-flush-cache", "1", "", GOOD, 1, false},
      {"feature-barrier", "1", "", GOOD, 1, false},
      {"feature-discard", "1", "", GOOD, 1, false},
      {"discard-granularity", "8192", "", GOOD, 8192, false},
      {"discard-alignment", "512", "", GOOD, 512, false},
      {"discard-secure", "1", "", GOOD, 1, false},
      {"feature-persistent", "1", "", GOOD, 1, false}}},
    {"what is asked for initially",
     {0},
     much,
     all_of_it,
     {{"max-ring-page-order", "3", "", GOOD, 0, true},
      {"max-ring-pages", "", "", ABSENT, 1, false},
      {"multi-queue-max-queues", "2", "", GOOD, 1, true},
      {"feature-max-indirect-segments", "32", "", GOOD, 32, false},
      {"feature-flush-cache", "1", "", GOOD, 1, false},
      {"feature-barrier", "1", "", GOOD, 1, false},
      {"feature-discard", "1", "", GOOD, 1, false},
      {"discard-granularity", "8192", "", GOOD, 8192, false},
      {"discard-alignment", "512", "", GOOD, 512, false},
      {"discard-secure", "1", "", GOOD, 1, false},
      {"feature-persistent", "1", "", GOOD, 1, false}}},
    {"without anything",
     {.queues = 4, .ring_order = 4, .without = 255},
     much,
     all_of_it,
     {{"max-ring-page-order", "3", "", GOOD, 0, true},
      {"max-ring-pages", "", "", ABSENT, 1, false},
      {"multi-queue-max-queues", "2", "", GOOD, 1, true},
      {"feature-max-indirect-segments", "32", "", GOOD, 0, true},
      {"feature-flush-cache", "1", "", GOOD, 0, true},
      {"feature-barrier", "1", "", GOOD, 0, true},
      {"feature-discard", "1", "", GOOD, 0, true},
      {"discard-granularity", "8192", "", GOOD, 0, true},
      {"discard-alignment", "512", "", GOOD, 0, true},
      {"discard-secure", "1", "", GOOD, 0, true},
      {"feature-persistent", "1", "", GOOD, 0, true}}},
    {"nothing is offered",
     {.queues = 4, .ring_order = 4},
     plain_nothing,
     plain_usual,
     {{"max-ring-page-order", "", "", ABSENT, 0, false},
      {"max-ring-pages", "", "", ABSENT, 1, false},
      {"multi-queue-max-queues", "", "", ABSENT, 1, false},
      {"feature-max-indirect-segments", "", "", ABSENT, 0, false},
      {"feature-flush-cache", "", "", ABSENT, 0, false},
      {"feature-barrier", "", "", ABSENT, 0, false},
      {"feature-discard", "", "", ABSENT, 0, false},
      {"discard-granularity", "", "", ABSENT, 0, false},
      {"discard-alignment", "", "", ABSENT, 0, false},
      {"discard-secure", "", "", ABSENT, 0, false},
      {"feature-persistent", "", "", ABSENT, 0, false}}},
};

static void test_negotiations(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(negotiations); i++) {
        struct rig_options options = negotiations[i].options;
        struct plain *plain = malloc(sizeof(*plain));
        struct rig rig;

        print_message("%s\n", negotiations[i].what);
        options.no_backend = true;
        rig_up(&rig, &options);
        plain_up(plain, &rig);
        plain->offer = negotiations[i].offer;
        plain->answer = negotiations[i].answer;
        rig_connect(&rig);
        assert_negotiated(rig.blk, negotiations[i].expected);
        rig_close(&rig);
        plain_down(plain);
        rig_down(&rig);
        free(plain);
    }
}

/* ---- a port that does not give --------------------------------------------------------------- */

/*
 * The calls by which a connection of four queues is made, with pages for the caller: each fails in
 * turn; what was made before it is taken back, and the next connection has all four queues. False:
 * there are fewer calls.
 */
static bool fails_at(uint64_t number, int error)
{
    struct xenpv_mock_ledger ledger;
    struct xenpv_blk_info info;
    struct faulty_port faulty;
    struct rig rig;
    bool reached;

    rig_up(&rig, &(struct rig_options){
                     .queues = 4, .ring_order = 2, .shared_pages = 2, .buffer_pages = 11});
    rig_rest(&rig);
    faulty_wrap(&faulty, &rig.front_port);
    faulty.fail_at = faulty.calls + 1 + number;
    faulty.error = error;
    assert_int_equal(xenpv_blk_connect(rig.blk, 0), XENPV_OK);
    for (int i = 0; i < 20000 && !rig_settled(&rig); i++) {
        rig_step(&rig);
        xenpv_mock_advance(rig.mock, 1);
    }
    reached = faulty.failed != NULL;
    faulty.fail_at = 0;
    if (xenpv_blk_state(rig.blk) == XENPV_BLK_FAILED) {
        assert_int_equal(xenpv_blk_detail(rig.blk)->error, error);
        assert_int_equal(xenpv_mock_ledger(rig.mock, 1, &ledger), XENPV_OK);
        assert_int_equal(ledger.grants + ledger.ports + ledger.watches, 0);
        rig_connect(&rig);
    }
    xenpv_blk_info(rig.blk, &info);
    assert_int_equal(info.queues, 4);
    assert_int_equal(xenpv_blk_abandoned(rig.blk), 0);
    rig_close(&rig);
    rig_down(&rig);
    return reached;
}

static void test_GT_04_RL_12_each_call_of_a_connection_fails(void **state)
{
    static const int errors[] = {XENPV_ENOGRANT, XENPV_ENOMEM};

    (void)state;
    for (size_t i = 0; i < COUNT(errors); i++) {
        uint64_t number = 0;

        while (fails_at(number, errors[i]))
            number++;
        /* Among them 4 times 2 shares and 4 channels. */
        assert_in_range(number, 18, 60);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_initial_configuration),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_port_that_can_only_look),
        cmocka_unit_test(test_negotiations),
        cmocka_unit_test(test_GT_04_RL_12_each_call_of_a_connection_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The stream of what devices a domain has, on the mock: seen by the domain itself and by domain 0.
 */
#include <xenpv/devices.h>

#include "mock_fixture.h"

#define GUEST "/local/domain/7/"

/* What all that was told since makes, an event after the other: "+vbd/51712 1 1; ". */
struct rig {
    struct machine machine;
    struct xenpv_devices *devices;
    void *memory;
    uint64_t now;
    char told[2048];
};

static void rig_start(struct rig *rig, const struct xenpv_port *port, const char *path,
                      uint32_t capacity, uint32_t names)
{
    struct xenpv_devices_config config = {
        .port = port, .path = path, .capacity = capacity, .names = names};
    size_t bytes = xenpv_devices_size(&config);

    assert_true(bytes > 0);
    rig->memory = malloc(bytes + 1);
    assert_non_null(rig->memory);
    assert_int_equal(xenpv_devices_init(&config, rig->memory, bytes - 1, &rig->devices),
                     XENPV_EINVAL);
    assert_int_equal(xenpv_devices_init(&config, rig->memory, bytes, &rig->devices), XENPV_OK);
}

static void rig_set(struct rig *rig, bool from_dom0, uint32_t capacity, uint32_t names,
                    const struct xenpv_mock_limits *limits)
{
    memset(rig, 0, sizeof(*rig));
    machine_start(&rig->machine, limits);
    rig_start(rig, from_dom0 ? &rig->machine.dom0 : &rig->machine.guest,
              from_dom0 ? GUEST "device" : "device", capacity, names);
}

static void rig_end(struct rig *rig)
{
    xenpv_devices_stop(rig->devices);
    assert_holds_nothing(&rig->machine, 7);
    assert_holds_nothing(&rig->machine, 0);
    free(rig->memory);
    machine_stop(&rig->machine, 0);
}

static void tell_all(struct rig *rig)
{
    struct xenpv_device_event event;

    rig->told[0] = '\0';
    while (xenpv_devices_next(rig->devices, &event))
        snprintf(rig->told + strlen(rig->told), sizeof(rig->told) - strlen(rig->told),
                 "%c%s/%u %u %u; ", "+-*"[event.change], event.device.class_name, event.device.id,
                 event.device.frontend_state, event.device.backend_state);
}

/* Two steps: the first may make watches, which fire at once. */
static void assert_told(struct rig *rig, const char *expected)
{
    assert_int_equal(xenpv_devices_step(rig->devices, rig->now), XENPV_OK);
    assert_int_equal(xenpv_devices_step(rig->devices, rig->now), XENPV_OK);
    tell_all(rig);
    assert_string_equal(rig->told, expected);
}

static struct xenpv_mock_vbd vbd_of(uint32_t vdev)
{
    return (struct xenpv_mock_vbd){
        .frontend = 7, .backend = 0, .vdev = vdev, .params = "/dev/null"};
}

static void add_vbd(struct rig *rig, uint32_t vdev)
{
    struct xenpv_mock_vbd vbd = vbd_of(vdev);

    assert_int_equal(xenpv_mock_add_vbd(rig->machine.mock, &vbd), XENPV_OK);
}

static void remove_vbd(struct rig *rig, uint32_t vdev)
{
    struct xenpv_mock_vbd vbd = vbd_of(vdev);

    assert_int_equal(xenpv_mock_remove_vbd(rig->machine.mock, &vbd), XENPV_OK);
}

static void add_vif(struct rig *rig, uint32_t number)
{
    struct xenpv_mock_vif vif = {.frontend = 7, .number = number, .mac = "00:16:3e:00:00:01"};

    assert_int_equal(xenpv_mock_add_vif(rig->machine.mock, &vif), XENPV_OK);
}

static void put(struct rig *rig, const char *path, const char *value)
{
    assert_int_equal(xenpv_mock_write(rig->machine.mock, path, value), XENPV_OK);
}

static void rm(struct rig *rig, const char *path)
{
    assert_int_equal(xenpv_mock_rm(rig->machine.mock, path), XENPV_OK);
}

/* ---- what comes and goes --------------------------------------------------------------------- */

static void test_seed_A4_devices_come_change_and_go(void **state)
{
    (void)state;
    for (int from_dom0 = 0; from_dom0 < 2; from_dom0++) {
        struct rig rig;

        rig_set(&rig, from_dom0, 8, 256, &default_limits);
        assert_told(&rig, "");
        add_vbd(&rig, 51712);
        assert_told(&rig, "+vbd/51712 1 1; ");
        assert_told(&rig, "");
        add_vif(&rig, 0);
        add_vbd(&rig, 268439552);
        assert_told(&rig, "+vbd/268439552 1 1; +vif/0 1 1; ");
        put(&rig, GUEST "device/vbd/51712/state", "3");
        assert_told(&rig, "*vbd/51712 3 1; ");
        put(&rig, "/local/domain/0/backend/vbd/7/51712/state", "4");
        assert_told(&rig, "*vbd/51712 3 4; ");
        put(&rig, "/local/domain/0/backend/vbd/7/51712/state", "4");
        assert_told(&rig, "");
        remove_vbd(&rig, 51712);
        assert_told(&rig, "-vbd/51712 3 4; ");
        add_vbd(&rig, 51712);
        assert_told(&rig, "+vbd/51712 1 1; ");
        rm(&rig, GUEST "device");
        assert_told(&rig, "-vbd/51712 1 1; -vbd/268439552 1 1; -vif/0 1 1; ");
        rig_end(&rig);
    }
}

/* What differs is told from what was told last, however much went by. */
static void test_levels_not_edges(void **state)
{
    struct rig rig;

    (void)state;
    rig_set(&rig, false, 8, 256, &default_limits);
    add_vbd(&rig, 51712);
    remove_vbd(&rig, 51712);
    assert_told(&rig, "");
    add_vbd(&rig, 51712);
    assert_told(&rig, "+vbd/51712 1 1; ");
    for (uint32_t i = 0; i < 100000; i++)
        put(&rig, GUEST "device/vbd/51712/state", i % 2 ? "5" : "6");
    assert_told(&rig, "*vbd/51712 5 1; ");
    put(&rig, GUEST "device/vbd/51712/state", "6");
    put(&rig, GUEST "device/vbd/51712/state", "5");
    assert_told(&rig, "");
    rig_end(&rig);
}

/* The same number with another backend is another device. */
static void test_seed_A4_another_backend_is_another_device(void **state)
{
    struct rig rig;

    (void)state;
    rig_set(&rig, true, 8, 256, &default_limits);
    add_vbd(&rig, 51712);
    assert_told(&rig, "+vbd/51712 1 1; ");
    put(&rig, "/local/domain/8/backend/vbd/7/51712/state", "2");
    put(&rig, GUEST "device/vbd/51712/backend", "/local/domain/8/backend/vbd/7/51712");
    assert_told(&rig, "-vbd/51712 1 1; +vbd/51712 1 2; ");
    /* It is that one whose state is followed. */
    put(&rig, "/local/domain/0/backend/vbd/7/51712/state", "5");
    assert_told(&rig, "");
    put(&rig, "/local/domain/8/backend/vbd/7/51712/state", "4");
    assert_told(&rig, "*vbd/51712 1 4; ");
    rm(&rig, GUEST "device/vbd/51712/backend");
    assert_told(&rig, "-vbd/51712 1 4; +vbd/51712 1 0; ");
    rig_end(&rig);
}

/* ---- what peers and toolstacks leave there --------------------------------------------------- */

static void test_what_is_no_device(void **state)
{
    static const struct {
        const char *path, *value, *told;
    } rows[] = {
        {"device/suspend/event-channel", "", ""},
        {"device/vbd/x/state", "1", ""},
        {"device/vbd/4294967296/state", "1", ""},
        {"device/vbd/051712/state", "1", ""}, /* would be the same as vbd/51712 */
        {"device/vbd/99999999999999999999/state", "1", ""},
        {"device/vbd/51712/other", "1", ""},
        {"device/a-class-of-15-b/1/state", "1", "+a-class-of-15-b/1 1 0; "},
        {"device/a-class-of-16-by/1/state", "1", ""},
        {"device/vif/3/state", "1", "+vif/3 1 0; "},
        {"device/vif/0/state", "8", "+vif/0 8 0; "},
        {"device/vif/0/state", "10", "+vif/0 9 0; "},
        {"device/vif/0/state", "-1", "+vif/0 9 0; "},
        {"device/vif/0/state", "", "+vif/0 9 0; "},
        {"device/vif/0/state", "0000000000000000000000000000000000000000000001", "+vif/0 9 0; "},
        {"device/vif/0/backend", "/", "+vif/0 0 0; "},
        {"device/vif/0/backend", "no/../path ?", "+vif/0 0 0; "},
        {"device/vif/0/backend-id", "1", "+vif/0 0 0; "},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rig rig;
        char path[128];

        rig_set(&rig, false, 4, 256, &default_limits);
        snprintf(path, sizeof(path), GUEST "%s", rows[i].path);
        put(&rig, path, rows[i].value);
        assert_told(&rig, rows[i].told);
        rig_end(&rig);
    }
}

static void test_a_backend_of_a_long_path(void **state)
{
    char path[XENPV_STORE_PATH_MAX + 2] = "/";
    struct xenpv_device_event event;
    struct rig rig;

    (void)state;
    for (size_t length = XENPV_STORE_PATH_MAX - 2; length <= XENPV_STORE_PATH_MAX; length++) {
        rig_set(&rig, false, 4, 256, &default_limits);
        memset(path + 1, 'x', length - 1);
        path[length] = '\0';
        put(&rig, GUEST "device/vif/0/backend", path);
        put(&rig, GUEST "device/vif/0/backend-id", length % 2 ? "32752" : "32751");
        assert_int_equal(xenpv_devices_step(rig.devices, 0), XENPV_OK);
        assert_true(xenpv_devices_next(rig.devices, &event));
        assert_int_equal(strlen(event.device.backend), length < XENPV_STORE_PATH_MAX ? length : 0);
        assert_int_equal(event.device.backend_id, length % 2 ? XENPV_DEVICE_NO_DOMAIN : 32751);
        rig_end(&rig);
    }
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void test_seed_A1_sixty_four_disks(void **state)
{
    struct rig rig;
    uint32_t seen = 0;
    struct xenpv_device_event event;

    (void)state;
    rig_set(&rig, false, 64, 1024, &default_limits);
    for (uint32_t i = 0; i < 64; i++)
        add_vbd(&rig, i < 16 ? 51712 + 16 * i : 268439552 + 256 * (i - 16));
    assert_int_equal(xenpv_devices_step(rig.devices, 0), XENPV_OK);
    while (xenpv_devices_next(rig.devices, &event))
        seen += event.change == XENPV_DEVICE_ADDED;
    assert_int_equal(seen, 64);
    put(&rig, "/local/domain/0/backend/vbd/7/51776/state", "2");
    assert_told(&rig, "*vbd/51776 1 2; ");
    rig_end(&rig);
}

/* More than there is room for: what fits is told, nothing is said to be removed. */
static void test_no_room_for_devices(void **state)
{
    struct rig rig;

    (void)state;
    rig_set(&rig, false, 2, 256, &default_limits);
    add_vbd(&rig, 51712);
    add_vbd(&rig, 51728);
    assert_told(&rig, "+vbd/51712 1 1; +vbd/51728 1 1; ");
    add_vbd(&rig, 51744);
    assert_int_equal(xenpv_devices_step(rig.devices, 0), XENPV_E2BIG);
    tell_all(&rig);
    assert_string_equal(rig.told, "");
    remove_vbd(&rig, 51712);
    assert_int_equal(xenpv_devices_step(rig.devices, 0), XENPV_E2BIG);
    tell_all(&rig);
    assert_string_equal(rig.told, "");
    assert_int_equal(xenpv_devices_step(rig.devices, 0), XENPV_E2BIG);
    remove_vbd(&rig, 51744);
    assert_told(&rig, "-vbd/51712 1 1; ");
    rig_end(&rig);
}

/* A place that was never told keeps its watch till another device takes it. */
static void test_what_goes_while_there_is_no_room(void **state)
{
    struct rig rig;

    (void)state;
    rig_set(&rig, true, 2, 256, &default_limits);
    for (uint32_t vdev = 1; vdev <= 3; vdev++)
        add_vbd(&rig, vdev);
    assert_int_equal(xenpv_devices_step(rig.devices, rig.now), XENPV_E2BIG);
    remove_vbd(&rig, 1);
    add_vbd(&rig, 4);
    assert_int_equal(xenpv_devices_step(rig.devices, rig.now), XENPV_E2BIG);
    tell_all(&rig);
    remove_vbd(&rig, 4);
    assert_int_equal(xenpv_devices_step(rig.devices, rig.now), XENPV_OK);
    rig_end(&rig);
}

static void test_no_room_for_names(void **state)
{
    struct rig rig;

    (void)state;
    /* "suspend", "vbd" and "event-channel" fit, each with its NUL; a third number does not. */
    rig_set(&rig, false, 4, 8 + 4 + 14, &default_limits);
    add_vbd(&rig, 51712);
    add_vbd(&rig, 51728);
    assert_told(&rig, "+vbd/51712 1 1; +vbd/51728 1 1; ");
    add_vbd(&rig, 51744);
    assert_int_equal(xenpv_devices_step(rig.devices, 0), XENPV_E2BIG);
    tell_all(&rig);
    assert_string_equal(rig.told, "");
    remove_vbd(&rig, 51744);
    assert_told(&rig, "");
    rig_end(&rig);
}

/* No watch is left for the backends: their states are looked at every 500 ms. */
static void test_quota_of_watches(void **state)
{
    const struct xenpv_mock_limits limits = {.store_watches = 1}; /* and one more */
    struct rig rig;

    (void)state;
    rig_set(&rig, false, 4, 256, &limits);
    add_vbd(&rig, 51712);
    assert_told(&rig, "+vbd/51712 1 1; ");
    assert_int_equal(xenpv_devices_deadline(rig.devices), UINT64_MAX);
    add_vbd(&rig, 51728);
    assert_told(&rig, "+vbd/51728 1 1; ");
    assert_int_equal(xenpv_devices_deadline(rig.devices), 500);
    put(&rig, "/local/domain/0/backend/vbd/7/51728/state", "2");
    rig.now = 499;
    assert_told(&rig, "");
    rig.now = 500;
    assert_told(&rig, "*vbd/51728 1 2; ");
    assert_int_equal(xenpv_devices_deadline(rig.devices), 1000);
    /* A watch that comes free is taken. */
    remove_vbd(&rig, 51712);
    assert_told(&rig, "-vbd/51712 1 1; ");
    rig.now = 1000;
    assert_told(&rig, "");
    assert_int_equal(xenpv_devices_deadline(rig.devices), UINT64_MAX);
    rig_end(&rig);
}

static void test_no_watch_at_all(void **state)
{
    const struct xenpv_mock_limits limits = {.store_watches = 1}; /* and one more */
    struct rig rig;
    char others[2];

    (void)state;
    rig_set(&rig, false, 4, 256, &limits);
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            rig.machine.guest.store->watch(rig.machine.guest.ctx, "device", &others[i]), 0);
    assert_int_equal(xenpv_devices_step(rig.devices, 0), XENPV_ENOSPC);
    for (int i = 0; i < 2; i++)
        rig.machine.guest.store->unwatch(rig.machine.guest.ctx, "device", &others[i]);
    add_vbd(&rig, 51712);
    assert_told(&rig, "+vbd/51712 1 1; ");
    rig_end(&rig);
}

/* ---- the store ------------------------------------------------------------------------------- */

static void test_store_that_is_slow(void **state)
{
    struct rig rig;
    uint32_t steps = 0;

    (void)state;
    rig_set(&rig, false, 4, 256, &default_limits);
    add_vbd(&rig, 51712);
    assert_told(&rig, "+vbd/51712 1 1; ");
    add_vbd(&rig, 51728);
    put(&rig, GUEST "device/vbd/51712/state", "2");
    assert_int_equal(xenpv_mock_set_store_delay(rig.machine.mock, 7, 10), XENPV_OK);
    while (xenpv_devices_step(rig.devices, xenpv_mock_now(rig.machine.mock)) == XENPV_PENDING) {
        tell_all(&rig);
        assert_string_equal(rig.told, ""); /* not before all is seen */
        xenpv_mock_advance(rig.machine.mock, 5);
        assert_true(++steps < 100);
    }
    assert_true(steps >= 6);
    tell_all(&rig);
    assert_string_equal(rig.told, "*vbd/51712 2 1; +vbd/51728 1 1; ");
    /* Given up at every place of a look. */
    for (uint32_t at = 1; at < steps; at++) {
        xenpv_devices_stop(rig.devices);
        for (uint32_t i = 0; i < at; i++) {
            assert_int_equal(xenpv_devices_step(rig.devices, 0), XENPV_PENDING);
            xenpv_mock_advance(rig.machine.mock, 5);
        }
    }
    rig_end(&rig);
}

static void test_no_permission(void **state)
{
    const struct xenpv_mock_perms none = {.owner = 0};
    const struct xenpv_mock_perms again = {.owner = 0, .others = XENPV_MOCK_READ};
    struct rig rig;

    (void)state;
    rig_set(&rig, false, 4, 256, &default_limits);
    add_vbd(&rig, 51712);
    assert_told(&rig, "+vbd/51712 1 1; ");
    assert_int_equal(xenpv_mock_set_perms(rig.machine.mock, GUEST "device/vbd", &none), 0);
    put(&rig, GUEST "device/x", "");
    assert_int_equal(xenpv_devices_step(rig.devices, 0), XENPV_EACCES);
    tell_all(&rig);
    assert_string_equal(rig.told, ""); /* nobody says that it is gone */
    assert_int_equal(xenpv_mock_set_perms(rig.machine.mock, GUEST "device/vbd", &again), 0);
    assert_told(&rig, "");
    rig_end(&rig);
}

/* After a suspend the watches fire, and what has changed meanwhile is told. */
static void test_seed_A4_after_a_move(void **state)
{
    struct rig rig;

    (void)state;
    rig_set(&rig, false, 4, 256, &default_limits);
    add_vbd(&rig, 51712);
    add_vbd(&rig, 51728);
    put(&rig, GUEST "device/vbd/51712/state", "4");
    assert_told(&rig, "+vbd/51712 4 1; +vbd/51728 1 1; ");
    assert_int_equal(xenpv_mock_suspend(rig.machine.mock, 7), XENPV_OK);
    remove_vbd(&rig, 51712);
    remove_vbd(&rig, 51728);
    add_vbd(&rig, 51728);
    add_vbd(&rig, 51712);
    assert_told(&rig, "*vbd/51712 1 1; "); /* they came in another order */
    rig_end(&rig);
}

static void test_configurations(void **state)
{
    struct xenpv_port port = {0};
    char path[XENPV_STORE_PATH_MAX + 1];
    const struct {
        struct xenpv_devices_config config;
        bool good;
    } rows[] = {
        {{&port, "device", 1, 1}, true},
        {{NULL, "device", 1, 1}, false},
        {{&port, NULL, 1, 1}, false},
        {{&port, "device", 0, 1}, false},
        {{&port, "device", 1, 0}, false},
        {{&port, "device", XENPV_DEVICES_MAX, 1}, true},
        {{&port, "device", XENPV_DEVICES_MAX + 1, 1}, false},
        {{&port, "device", 1, XENPV_DEVICES_NAMES_MAX}, true},
        {{&port, "device", 1, XENPV_DEVICES_NAMES_MAX + 1}, false},
        {{&port, path + 1, 1, 1}, true},
        {{&port, path, 1, 1}, false},
    };
    struct xenpv_devices *devices;

    (void)state;
    memset(path, 'x', sizeof(path));
    path[XENPV_STORE_PATH_MAX] = '\0';
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(xenpv_devices_size(&rows[i].config) > 0, rows[i].good);
    assert_int_equal(xenpv_devices_init(&rows[1].config, path, sizeof(path), &devices),
                     XENPV_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_A4_devices_come_change_and_go),
        cmocka_unit_test(test_levels_not_edges),
        cmocka_unit_test(test_seed_A4_another_backend_is_another_device),
        cmocka_unit_test(test_what_is_no_device),
        cmocka_unit_test(test_a_backend_of_a_long_path),
        cmocka_unit_test(test_seed_A1_sixty_four_disks),
        cmocka_unit_test(test_no_room_for_devices),
        cmocka_unit_test(test_what_goes_while_there_is_no_room),
        cmocka_unit_test(test_no_room_for_names),
        cmocka_unit_test(test_quota_of_watches),
        cmocka_unit_test(test_no_watch_at_all),
        cmocka_unit_test(test_store_that_is_slow),
        cmocka_unit_test(test_no_permission),
        cmocka_unit_test(test_seed_A4_after_a_move),
        cmocka_unit_test(test_configurations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

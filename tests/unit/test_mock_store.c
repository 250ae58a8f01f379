/* SPDX-License-Identifier: MIT */
/* The store of the mock: paths, permissions, values, quotas, and the toolstack's part of it. */
#include "mock_store_fixture.h"

static void test_paths(void **state)
{
    static const struct {
        const char *dir, *name;
        int expected; /* of a READ by domain 7 */
    } cases[] = {
        {"domid", NULL, XENPV_OK},
        {"/local/domain/7/domid", NULL, XENPV_OK},
        {"/local/domain/7", "domid", XENPV_OK},
        {"control/shutdown", NULL, XENPV_OK},
        {"control", "shutdown", XENPV_OK},
        {"missing", NULL, XENPV_ENOENT},
        {"AZaz09-_@", NULL, XENPV_ENOENT},
        {"missing", "deep/deeper", XENPV_ENOENT},
        {"/", NULL, XENPV_EACCES},
        {"/missing", NULL, XENPV_EACCES},
        {"/local/domain/8/domid", NULL, XENPV_EACCES},
        {"/local/domain/77/domid", NULL, XENPV_EACCES},
        {"", NULL, XENPV_EINVAL},
        {"", "domid", XENPV_EINVAL},
        {"control", "", XENPV_EINVAL},
        {"control/", NULL, XENPV_EINVAL},
        {"control/", "shutdown", XENPV_EINVAL},
        {"control", "/shutdown", XENPV_EINVAL},
        {"//", NULL, XENPV_EINVAL},
        {"/", "local", XENPV_EINVAL},
        {"@releaseDomain", NULL, XENPV_EINVAL},
        {"a.b", NULL, XENPV_EINVAL},
        {"a b", NULL, XENPV_EINVAL},
        {"a\n", NULL, XENPV_EINVAL},
        {"a\x80", NULL, XENPV_EINVAL},
        {"a*", NULL, XENPV_EINVAL},
    };
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);
    for (size_t i = 0; i < COUNT(cases); i++) {
        char value[16];
        struct xenpv_store_op op = {.type = XENPV_STORE_READ,
                                    .dir = cases[i].dir,
                                    .name = cases[i].name,
                                    .value = value,
                                    .capacity = sizeof(value)};

        if (run_one(&m.guest, &op) != cases[i].expected)
            fail_msg("case %zu: %d instead of %d", i, op.status, cases[i].expected);
    }
    machine_stop(&m, 0);
}

static void test_path_lengths(void **state)
{
    static const struct {
        const char *prefix;
        size_t more; /* characters after the prefix */
        int expected;
    } cases[] = {
        {"", 2048, XENPV_ENOENT},
        {"", 2049, XENPV_EINVAL},
        {"/local/domain/7/", 2048, XENPV_ENOENT},
        {"/local/domain/7/", 2049, XENPV_EINVAL},
        {"/local/domain/77777/", 2048, XENPV_EACCES},
        {"/local/domain/777777/", 2048 - 21, XENPV_EACCES}, /* no domain has six digits */
        {"/local/domain/777777/", 2048 - 20, XENPV_EINVAL},
        {"/", 2047, XENPV_EACCES},
        {"/", 2048, XENPV_EINVAL},
        {"", 4095, XENPV_EINVAL},
        {"", 4096, XENPV_E2BIG}, /* with its NUL, no message has room for it */
    };
    char path[4200];
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t length = strlen(cases[i].prefix);

        memcpy(path, cases[i].prefix, length);
        memset(path + length, 'x', cases[i].more);
        path[length + cases[i].more] = '\0';
        assert_int_equal(try_read(&m.guest, path), cases[i].expected);
    }
    machine_stop(&m, 0);
}

static void test_permissions(void **state)
{
    static const struct {
        const char *path;
        struct xenpv_mock_perms perms;
    } nodes[] = {
        {"/a", {0}},
        {"/a/readable", {.others = XENPV_MOCK_READ}},
        {"/a/writable", {.others = XENPV_MOCK_WRITE}},
        {"/a/both", {.others = XENPV_MOCK_READ | XENPV_MOCK_WRITE}},
        {"/a/named", {.domid = 7, .allowed = XENPV_MOCK_READ}},
        {"/a/not7", {.others = XENPV_MOCK_READ, .domid = 7}},
        {"/a/owned", {.owner = 7}},
    };
    static const struct {
        uint16_t domid;
        enum xenpv_store_type type;
        const char *path;
        int expected;
    } cases[] = {
        {0, XENPV_STORE_READ, "/a", XENPV_OK},
        {0, XENPV_STORE_READ, "/a/missing", XENPV_ENOENT},
        {0, XENPV_STORE_WRITE, "/a/owned", XENPV_OK},
        {7, XENPV_STORE_READ, "/a", XENPV_EACCES},
        {7, XENPV_STORE_LIST, "/a", XENPV_EACCES},
        {7, XENPV_STORE_READ, "/a/missing", XENPV_EACCES}, /* not to be told */
        {7, XENPV_STORE_READ, "/a/readable", XENPV_OK},
        {7, XENPV_STORE_LIST, "/a/readable", XENPV_OK},
        {7, XENPV_STORE_READ, "/a/readable/missing", XENPV_ENOENT},
        {7, XENPV_STORE_READ, "/a/readable/missing/deep", XENPV_ENOENT},
        {7, XENPV_STORE_WRITE, "/a/readable", XENPV_EACCES},
        {7, XENPV_STORE_WRITE, "/a/readable/new", XENPV_EACCES},
        {7, XENPV_STORE_MKDIR, "/a/readable", XENPV_EACCES},
        {7, XENPV_STORE_RM, "/a/readable", XENPV_EACCES},
        {7, XENPV_STORE_RM, "/a/readable/missing", XENPV_EACCES},
        {7, XENPV_STORE_READ, "/a/named", XENPV_OK},
        {8, XENPV_STORE_READ, "/a/named", XENPV_EACCES},
        {7, XENPV_STORE_READ, "/a/not7", XENPV_EACCES},
        {8, XENPV_STORE_READ, "/a/not7", XENPV_OK},
        {7, XENPV_STORE_READ, "/a/owned", XENPV_OK},
        {7, XENPV_STORE_WRITE, "/a/owned/new", XENPV_OK},
        {8, XENPV_STORE_READ, "/a/owned/new", XENPV_EACCES},
        {7, XENPV_STORE_READ, "/a/writable", XENPV_EACCES},
        {7, XENPV_STORE_MKDIR, "/a/writable", XENPV_OK},
        {7, XENPV_STORE_WRITE, "/a/writable/dir/new", XENPV_OK}, /* who makes it owns it ... */
        {7, XENPV_STORE_READ, "/a/writable/dir/new", XENPV_OK},
        {7, XENPV_STORE_LIST, "/a/writable/dir", XENPV_OK},
        {8, XENPV_STORE_READ, "/a/writable/dir/new", XENPV_EACCES}, /* ... others as above */
        {8, XENPV_STORE_WRITE, "/a/writable/dir/new", XENPV_OK},
        {7, XENPV_STORE_RM, "/a/writable/missing", XENPV_OK}, /* the parent is there */
        {7, XENPV_STORE_RM, "/a/writable/missing/deep", XENPV_ENOENT},
        {8, XENPV_STORE_RM, "/a/both", XENPV_OK}, /* the node's own permission is enough */
        {0, XENPV_STORE_RM, "/", XENPV_EINVAL},
        {0, XENPV_STORE_RM, "/a", XENPV_OK},
        {0, XENPV_STORE_RM, "/a", XENPV_OK},
        {0, XENPV_STORE_READ, "/a/owned/new", XENPV_ENOENT},
    };
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);
    for (size_t i = 0; i < COUNT(nodes); i++) {
        assert_int_equal(xenpv_mock_write(m.mock, nodes[i].path, "v"), XENPV_OK);
        assert_int_equal(xenpv_mock_set_perms(m.mock, nodes[i].path, &nodes[i].perms), XENPV_OK);
    }
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct xenpv_port *port =
            cases[i].domid == 0 ? &m.dom0 : (cases[i].domid == 7 ? &m.guest : &m.other);
        int status = cases[i].type == XENPV_STORE_WRITE
                         ? try_write(port, cases[i].path, "w")
                         : try_other(port, cases[i].type, cases[i].path);

        if (status != cases[i].expected)
            fail_msg("case %zu: %d instead of %d", i, status, cases[i].expected);
    }
    machine_stop(&m, 0);
}

static void test_permissions_of_no_domain(void **state)
{
    const struct xenpv_mock_perms strange = {.owner = 99};
    const struct xenpv_mock_perms early = {.domid = 99, .allowed = XENPV_MOCK_READ};
    struct machine m;
    struct xenpv_port port;

    (void)state;
    machine_start(&m, &default_limits);
    assert_int_equal(xenpv_mock_set_perms(m.mock, "/tool", &strange), XENPV_ENOENT);
    assert_int_equal(xenpv_mock_set_perms(m.mock, "/tool", &early), XENPV_OK);
    assert_int_equal(xenpv_mock_set_perms(m.mock, "/none", &early), XENPV_ENOENT);
    assert_int_equal(xenpv_mock_add_domain(m.mock, 99), XENPV_OK);
    assert_int_equal(xenpv_mock_port(m.mock, 99, &port), XENPV_OK);
    assert_int_equal(try_read(&port, "/tool"), XENPV_EACCES);
    machine_stop(&m, 0);
}

static void test_values_and_lists(void **state)
{
    static const char binary[] = {'a', 0, (char)0xff, '\n', 0};
    char value[16];
    struct machine m;
    struct xenpv_store_op write = {.type = XENPV_STORE_WRITE,
                                   .dir = "data",
                                   .name = "x",
                                   .value = memcpy(value, binary, sizeof(binary)),
                                   .length = sizeof(binary)};
    struct xenpv_store_op read = {
        .type = XENPV_STORE_READ, .dir = "data", .name = "x", .value = value, .capacity = 16};

    (void)state;
    machine_start(&m, &default_limits);
    assert_int_equal(run_one(&m.guest, &write), XENPV_OK);
    memset(value, 'z', sizeof(value));
    assert_int_equal(run_one(&m.guest, &read), XENPV_OK);
    assert_int_equal(read.length, sizeof(binary));
    assert_memory_equal(value, binary, sizeof(binary));
    assert_int_equal(value[sizeof(binary)], 'z'); /* no NUL added */
    read.capacity = 2;
    memset(value, 'z', sizeof(value));
    assert_int_equal(run_one(&m.guest, &read), XENPV_E2BIG);
    assert_int_equal(read.length, sizeof(binary));
    assert_memory_equal(value, "a\0z", 3);

    assert_int_equal(try_write(&m.guest, "data/first/deep", "1"), XENPV_OK);
    assert_int_equal(try_other(&m.guest, XENPV_STORE_MKDIR, "data/second"), XENPV_OK);
    assert_value(&m.guest, "data/first", "");
    assert_value(&m.guest, "data/second", "");
    assert_int_equal(try_write(&m.guest, "data/x", ""), XENPV_OK);
    assert_value(&m.guest, "data/x", "");
    assert_children(&m.guest, "data", "x first second");
    assert_children(&m.guest, "data/second", "");
    read.type = XENPV_STORE_LIST;
    read.name = NULL;
    read.capacity = 9;
    memset(value, 'z', sizeof(value));
    assert_int_equal(run_one(&m.guest, &read), XENPV_E2BIG);
    assert_int_equal(read.length, sizeof("x\0first\0second"));
    assert_memory_equal(value, "x\0first\0sz", 10);
    assert_int_equal(try_other(&m.guest, XENPV_STORE_RM, "data/first"), XENPV_OK);
    assert_children(&m.guest, "data", "x second");
    assert_int_equal(try_other(&m.guest, (enum xenpv_store_type)99, "data"), XENPV_EINVAL);
    machine_stop(&m, 0);
}

static void test_quotas(void **state)
{
    char big[4200];
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);
    memset(big, 'v', sizeof(big));
    big[4096 - sizeof("/x/y")] = '\0';
    assert_int_equal(try_write(&m.dom0, "/x/y", big), XENPV_OK);
    strcat(big, "v"); /* more than a message holds */
    assert_int_equal(try_write(&m.dom0, "/x/y", big), XENPV_E2BIG);
    assert_int_equal(xenpv_mock_write(m.mock, "/x/y", big), XENPV_E2BIG);
    big[2048 - 24 - 8 - 1] = '\0';
    assert_int_equal(try_write(&m.guest, "data/v", big), XENPV_OK);
    strcat(big, "v");
    assert_int_equal(try_write(&m.guest, "data/v", big), XENPV_ENOSPC);
    assert_int_equal(try_write(&m.guest, "data/w", big), XENPV_ENOSPC);
    assert_children(&m.guest, "data", "v");
    machine_stop(&m, 0);

    machine_start(&m, &(struct xenpv_mock_limits){.store_nodes = 20, .store_record = 64});
    assert_int_equal(try_write(&m.guest, "data/abcdefghij/abcdefghij", "v"), XENPV_OK);
    assert_int_equal(try_write(&m.guest, "data/bbcdefghij", "v"), XENPV_OK);
    assert_int_equal(try_write(&m.guest, "data/cbcdefghij", "v"), XENPV_ENOSPC); /* of names */
    assert_children(&m.guest, "data", "abcdefghij bbcdefghij");
    machine_stop(&m, 0);

    machine_start(&m, &(struct xenpv_mock_limits){.store_nodes = 14});
    /* Of libxl's directories a domain owns eleven: the quota has room for three. */
    assert_int_equal(try_write(&m.guest, "data/1/2/3/4", "v"), XENPV_ENOSPC);
    assert_children(&m.guest, "data", "");
    assert_int_equal(try_write(&m.guest, "data/1/2/3", "v"), XENPV_OK);
    assert_int_equal(try_other(&m.guest, XENPV_STORE_MKDIR, "data/4"), XENPV_ENOSPC);
    assert_int_equal(try_write(&m.guest, "data/1/2", "again"), XENPV_OK);
    assert_int_equal(try_other(&m.guest, XENPV_STORE_RM, "data/1/2"), XENPV_OK);
    assert_int_equal(try_write(&m.guest, "data/4/5", "v"), XENPV_OK);
    assert_int_equal(xenpv_mock_write(m.mock, "/local/domain/7/data/6", "v"), XENPV_OK);
    machine_stop(&m, 0);
}

static void test_death_takes_nodes_and_permissions(void **state)
{
    const struct xenpv_mock_perms shared = {.domid = 7, .allowed = XENPV_MOCK_READ};
    const struct xenpv_mock_vbd vbd = {.frontend = 7, .backend = 8, .vdev = 51712, .params = "/d"};
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);
    assert_int_equal(xenpv_mock_add_vbd(m.mock, &vbd), XENPV_OK);
    assert_int_equal(xenpv_mock_set_perms(m.mock, "/tool", &shared), XENPV_OK);
    assert_int_equal(try_read(&m.guest, "/tool"), XENPV_OK);
    assert_int_equal(xenpv_mock_remove_domain(m.mock, 7), XENPV_OK);
    assert_int_equal(xenpv_mock_remove_domain(m.mock, 7), XENPV_ENOENT);
    assert_int_equal(xenpv_mock_remove_domain(m.mock, 0), XENPV_ENOENT);
    assert_children(&m.dom0, "/local/domain/7", "domid cpu memory device control");
    assert_children(&m.dom0, "/local/domain/7/device", "suspend vbd");
    assert_children(&m.dom0, "/local/domain/7/device/vbd", "");
    assert_value(&m.other, "backend/vbd/7/51712/state", "1"); /* the backend's own */
    assert_int_equal(xenpv_mock_add_domain(m.mock, 7), XENPV_OK);
    assert_int_equal(xenpv_mock_port(m.mock, 7, &m.guest), XENPV_OK);
    assert_int_equal(try_read(&m.guest, "/tool"), XENPV_EACCES);
    assert_int_equal(try_read(&m.guest, "/local/domain/8/backend/vbd/7/51712/state"), XENPV_EACCES);
    assert_int_equal(try_read(&m.guest, "device/vbd"), XENPV_ENOENT); /* it starts afresh */
    machine_stop(&m, 0);
}

static void test_new_domain(void **state)
{
    static const struct {
        const char *path;
        int expected; /* of a write by the domain */
    } cases[] = {
        {"domid", XENPV_EACCES},      {"new", XENPV_EACCES},       {"device", XENPV_EACCES},
        {"device/vbd", XENPV_EACCES}, {"control/x", XENPV_EACCES}, {"control/shutdown", XENPV_OK},
        {"data/x", XENPV_OK},         {"attr/x", XENPV_OK},        {"error/x", XENPV_OK},
    };
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);
    assert_int_equal(xenpv_mock_add_domain(m.mock, 0), XENPV_EINVAL);
    assert_int_equal(xenpv_mock_add_domain(m.mock, 0x7ff0), XENPV_EINVAL);
    assert_int_equal(xenpv_mock_add_domain(m.mock, 7), XENPV_EEXIST);
    assert_int_equal(xenpv_mock_add_domain(m.mock, 0x7fef), XENPV_OK);
    assert_value(&m.guest, "domid", "7");
    assert_value(&m.dom0, "/local/domain/32751/domid", "32751");
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(try_write(&m.guest, cases[i].path, "v"), cases[i].expected);
    assert_int_equal(try_read(&m.other, "/local/domain/7/data/x"), XENPV_EACCES);
    machine_stop(&m, 0);
}

/* A key of one of a device's two directories. */
struct device_key {
    const char *dir, *key, *value;
};

/* Each is there for both ends to read, and its owner's to write: the guest's below `front`. */
static void assert_keys(struct machine *m, const char *front, const struct device_key *keys,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct xenpv_port *owner = keys[i].dir == front ? &m->guest : &m->other;
        const struct xenpv_port *reader = keys[i].dir == front ? &m->other : &m->guest;
        char path[128];

        snprintf(path, sizeof(path), "%s/%s", keys[i].dir, keys[i].key);
        assert_value(reader, path, keys[i].value);
        assert_int_equal(try_write(reader, path, "x"), XENPV_EACCES);
        assert_int_equal(try_write(owner, path, "x"), XENPV_OK);
    }
}

static void test_vbd(void **state)
{
    static const char front[] = "/local/domain/7/device/vbd/51712";
    static const char back[] = "/local/domain/8/backend/vbd/7/51712";
    const struct xenpv_mock_vbd vbd = {
        .frontend = 7, .backend = 8, .vdev = 51712, .readonly = true, .params = "/dev/vg/x"};
    const struct xenpv_mock_vbd stray = {.frontend = 7, .backend = 9, .vdev = 1, .params = ""};
    static const struct device_key keys[] = {
        {front, "backend", back},
        {front, "backend-id", "8"},
        {front, "state", "1"},
        {front, "virtual-device", "51712"},
        {front, "device-type", "disk"},
        {front, "trusted", "1"},
        {back, "frontend", front},
        {back, "frontend-id", "7"},
        {back, "online", "1"},
        {back, "params", "/dev/vg/x"},
        {back, "mode", "r"},
        {back, "type", "phy"},
        {back, "removable", "0"},
        {back, "bootable", "1"},
        {back, "state", "1"},
        {back, "device-type", "disk"},
        {back, "dev", "51712"},
        {back, "discard-enable", "1"},
    };
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);
    assert_int_equal(xenpv_mock_add_vbd(m.mock, &stray), XENPV_ENOENT);
    assert_int_equal(xenpv_mock_add_vbd(m.mock, &vbd), XENPV_OK);
    assert_int_equal(xenpv_mock_add_vbd(m.mock, &vbd), XENPV_EEXIST);
    assert_keys(&m, front, keys, COUNT(keys));
    assert_int_equal(try_write(&m.guest, "device/vbd/51712/ring-ref", "8"), XENPV_OK);
    assert_value(&m.other, "/local/domain/7/device/vbd/51712/ring-ref", "8");
    assert_int_equal(try_write(&m.guest, "device/vbd/51728/x", "8"), XENPV_EACCES);
    assert_int_equal(xenpv_mock_remove_vbd(m.mock, &vbd), XENPV_OK);
    assert_children(&m.dom0, "/local/domain/7/device", "suspend");
    assert_int_equal(try_read(&m.dom0, "/local/domain/8/backend"), XENPV_ENOENT);
    assert_int_equal(xenpv_mock_remove_vbd(m.mock, &vbd), XENPV_OK);
    machine_stop(&m, 0);
}

static void test_vif(void **state)
{
    static const char front[] = "/local/domain/7/device/vif/3";
    static const char back[] = "/local/domain/8/backend/vif/7/3";
    const struct xenpv_mock_vif vif = {
        .frontend = 7, .backend = 8, .number = 3, .mtu = 9000, .mac = "00:16:3e:01:02:03"};
    const struct xenpv_mock_vif stray = {
        .frontend = 7, .backend = 9, .untrusted = true, .mac = "00:16:3e:01:02:04"};
    const struct xenpv_mock_vif other = {
        .frontend = 7, .backend = 8, .untrusted = true, .mac = "00:16:3e:01:02:04"};
    static const struct device_key keys[] = {
        {front, "backend", back},   {front, "backend-id", "8"},
        {front, "handle", "3"},     {front, "mac", "00:16:3e:01:02:03"},
        {front, "mtu", "9000"},     {front, "trusted", "1"},
        {front, "state", "1"},      {back, "frontend", front},
        {back, "frontend-id", "7"}, {back, "handle", "3"},
        {back, "online", "1"},      {back, "mac", "00:16:3e:01:02:03"},
        {back, "state", "1"},
    };
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);
    assert_int_equal(xenpv_mock_add_vif(m.mock, &stray), XENPV_ENOENT);
    assert_int_equal(xenpv_mock_add_vif(m.mock, &vif), XENPV_OK);
    assert_int_equal(xenpv_mock_add_vif(m.mock, &vif), XENPV_EEXIST);
    assert_keys(&m, front, keys, COUNT(keys));
    assert_int_equal(xenpv_mock_add_vif(m.mock, &other), XENPV_OK);
    assert_value(&m.other, "/local/domain/7/device/vif/0/trusted", "0");
    machine_stop(&m, 0);
}

static void test_toolstack_access(void **state)
{
    char value[4];
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);
    assert_int_equal(xenpv_mock_write(m.mock, "/x/y", "abc"), XENPV_OK);
    assert_int_equal(xenpv_mock_read(m.mock, "/x/y", value, 4), XENPV_OK);
    assert_string_equal(value, "abc");
    assert_int_equal(xenpv_mock_read(m.mock, "/x/y", value, 3), XENPV_E2BIG);
    assert_string_equal(value, "ab");
    assert_int_equal(xenpv_mock_read(m.mock, "/x/y", value, 0), XENPV_EINVAL);
    assert_int_equal(xenpv_mock_read(m.mock, "/x/z", value, 4), XENPV_ENOENT);
    assert_string_equal(value, "");
    assert_int_equal(xenpv_mock_read(m.mock, "/x/", value, 4), XENPV_EINVAL);
    assert_int_equal(xenpv_mock_rm(m.mock, "/x"), XENPV_OK);
    assert_int_equal(xenpv_mock_read(m.mock, "/x/y", value, 4), XENPV_ENOENT);
    assert_int_equal(xenpv_mock_rm(m.mock, "/x/y"), XENPV_ENOENT);
    machine_stop(&m, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_path_lengths),
        cmocka_unit_test(test_permissions),
        cmocka_unit_test(test_permissions_of_no_domain),
        cmocka_unit_test(test_values_and_lists),
        cmocka_unit_test(test_quotas),
        cmocka_unit_test(test_death_takes_nodes_and_permissions),
        cmocka_unit_test(test_new_domain),
        cmocka_unit_test(test_vbd),
        cmocka_unit_test(test_vif),
        cmocka_unit_test(test_toolstack_access),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

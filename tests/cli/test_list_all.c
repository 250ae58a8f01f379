/* SPDX-License-Identifier: MIT */
/* xenpv list --all, where a guest lies about the backend that its device has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include <xenpv/harness/mock.h>

#include "list.h"

static struct machine machine;

static void *take(void *ctx, size_t bytes, size_t align)
{
    (void)ctx;
    return aligned_alloc(align, (bytes + align - 1) / align * align);
}

static void give_back(void *ctx, void *memory)
{
    (void)ctx;
    free(memory);
}

int machine_open(const struct options *options, enum machine_need need, struct machine **opened)
{
    assert_int_equal(need, MACHINE_DOMAINS);
    machine.options = options;
    *opened = &machine;
    return STATUS_DONE;
}

int machine_close(struct machine *closed, int status)
{
    assert_ptr_equal(closed, &machine);
    return status;
}

uint64_t machine_now(struct machine *asked)
{
    (void)asked;
    return 0;
}

void machine_wait(struct machine *asked, const struct os_wait *waits, unsigned count,
                  uint64_t deadline)
{
    (void)asked;
    (void)waits;
    (void)count;
    (void)deadline;
    fail_msg("the mock answers at once");
}

const char *machine_fate(struct machine *asked, uint16_t domid)
{
    (void)asked;
    (void)domid;
    return "";
}

/* What it prints, and what is no row of a device left out. */
static void list(char *text, size_t bytes)
{
    const struct options options = {.timeout_ms = 0};
    FILE *file = tmpfile();
    int saved = dup(1);
    size_t got;

    assert_non_null(file);
    fflush(stdout);
    dup2(fileno(file), 1);
    assert_int_equal(list_all(&options), STATUS_DONE);
    fflush(stdout);
    dup2(saved, 1);
    close(saved);
    rewind(file);
    got = fread(text, 1, bytes - 1, file);
    text[got] = '\0';
    fclose(file);
}

static bool has_row(const char *text, unsigned domid, const char *device, const char *frontend)
{
    char line[256], name[32] = "", found[64] = "", state[64] = "";
    unsigned id;

    for (const char *at = text; *at; at = strchr(at, '\n') + 1) {
        snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
        if (sscanf(line, "%u %31s %63s %63s", &id, name, found, state) == 4 && id == domid &&
            strcmp(found, device) == 0 && strcmp(state, frontend) == 0)
            return true;
    }
    return false;
}

/* Domain 7's disk has lost its frontend; what others say of themselves must not hide it. */
static void test_an_orphan_is_shown(void **state)
{
    static const char *const liars[] = {
        NULL,
        "/local/domain/8/device/vbd/51712/backend",
        "/local/domain/8/device/vif/3/backend",
        "/local/domain/7/device/vbd/51728/backend",
        "/local/domain/7/device/vif/51712/backend",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(liars) / sizeof(liars[0]); i++) {
        struct xenpv_mock_config config = {.size = sizeof(config),
                                           .allocator = {NULL, take, give_back}};
        const struct xenpv_mock_vbd vbd = {7, 0, 51712, false, "disk"},
                                    other = {8, 0, 51728, false, ""};
        struct xenpv_mock *mock;
        char text[4096];

        assert_int_equal(xenpv_mock_create(&config, &mock), XENPV_OK);
        assert_int_equal(xenpv_mock_add_domain(mock, 7), XENPV_OK);
        assert_int_equal(xenpv_mock_add_domain(mock, 8), XENPV_OK);
        assert_int_equal(xenpv_mock_port(mock, 0, &machine.port), XENPV_OK);
        assert_int_equal(xenpv_mock_add_vbd(mock, &vbd), XENPV_OK);
        assert_int_equal(xenpv_mock_add_vbd(mock, &other), XENPV_OK);
        list(text, sizeof(text));
        assert_true(has_row(text, 7, "vbd/51712", "1"));
        assert_false(has_row(text, 7, "vbd/51712", "missing"));
        assert_int_equal(xenpv_mock_rm(mock, "/local/domain/7/device/vbd/51712"), XENPV_OK);
        if (liars[i])
            assert_int_equal(
                xenpv_mock_write(mock, liars[i], "/local/domain/0/backend/vbd/7/51712"), XENPV_OK);
        list(text, sizeof(text));
        if (!has_row(text, 7, "vbd/51712", "missing"))
            print_error("liar %zu:\n%s", i, text);
        assert_true(has_row(text, 7, "vbd/51712", "missing"));
        assert_true(has_row(text, 8, "vbd/51728", "1"));
        xenpv_mock_destroy(mock);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_orphan_is_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

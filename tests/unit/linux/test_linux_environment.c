/* SPDX-License-Identifier: MIT */
/* What opening the port answers, in words too, where it cannot be opened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <xenpv/linux.h>

#include "xenstored.h"

static bool on_xen(void)
{
    return access("/proc/xen", F_OK) == 0;
}

typedef int opener(struct xenpv_linux **handle, struct xenpv_port *port,
                   struct xenpv_linux_error *error);

static void refused_off_xen(opener *open)
{
    struct xenpv_linux_error error = {""};
    struct xenpv_linux *handle = NULL;
    struct xenpv_port port;
    int rc = open(&handle, &port, &error);

    if (on_xen()) {
        assert_null(strstr(error.text, "not a Xen guest"));
        if (rc == 0)
            xenpv_linux_close(handle);
        return;
    }
    assert_int_equal(rc, XENPV_ENOXEN);
    assert_non_null(strstr(error.text, "this is not a Xen guest"));
    assert_null(strchr(error.text, '\n'));
    assert_null(handle);
    assert_int_equal(open(&handle, &port, NULL), XENPV_ENOXEN);
}

static void test_open_off_xen(void **state)
{
    (void)state;
    refused_off_xen(xenpv_linux_open);
}

static void test_open_store_off_xen(void **state)
{
    (void)state;
    refused_off_xen(xenpv_linux_open_store);
}

/* With a store but without a device node, the line names what is missing, or what is not Xen. */
static void test_open_without_devices(void **state)
{
    struct xenstored *store = xenstored_start();
    struct xenpv_linux_error error = {""};
    struct xenpv_linux *handle = NULL;
    struct xenpv_port port;

    (void)state;
    if (access("/dev/xen/evtchn", F_OK) == 0) {
        xenstored_stop(store);
        return;
    }
    assert_int_equal(xenpv_linux_open(&handle, &port, &error), XENPV_ENOXEN);
    assert_non_null(strstr(error.text, on_xen() ? "modprobe xen-evtchn" : "not a Xen guest"));
    assert_null(handle);
    xenstored_stop(store);
}

static void test_store_port_is_store_only(void **state)
{
    struct xenstored *store = xenstored_start();
    struct xenpv_linux *handle;
    struct xenpv_port port;

    (void)state;
    assert_int_equal(xenpv_linux_open_store(&handle, &port, NULL), 0);
    assert_int_equal(port.size, sizeof(port));
    assert_int_equal(port.caps, XENPV_CAP_TRANSACTIONS | XENPV_CAP_WAIT);
    assert_non_null(port.store);
    assert_non_null(port.sys);
    assert_null(port.grant);
    assert_null(port.map);
    assert_null(port.event);
    xenpv_linux_close(handle);
    xenstored_stop(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_off_xen),
        cmocka_unit_test(test_open_store_off_xen),
        cmocka_unit_test(test_open_without_devices),
        cmocka_unit_test(test_store_port_is_store_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

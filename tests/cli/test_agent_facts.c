/* SPDX-License-Identifier: MIT */
/* The addresses that the agent publishes, of interfaces that this machine does not have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <unistd.h>

#include "agent_facts.h"
#include "store.h"

static struct ifaddrs *interfaces;

/* In place of the C library's. */
int getifaddrs(struct ifaddrs **all)
{
    *all = interfaces;
    return 0;
}

void freeifaddrs(struct ifaddrs *all)
{
    assert_ptr_equal(all, interfaces);
}

/* eth0 is vif 0; what has another name is no card of ours. */
ssize_t readlink(const char *restrict path, char *restrict target, size_t bytes)
{
    static const char device[] = "../../../vif-0";

    if (strcmp(path, "/sys/class/net/eth0/device") != 0 || bytes < sizeof(device))
        return -1;
    memcpy(target, device, sizeof(device) - 1);
    return sizeof(device) - 1;
}

int store_get(struct machine *machine, enum xenpv_store_type type, const char *path, char **value,
              uint32_t *length)
{
    (void)machine;
    (void)type;
    (void)path;
    (void)value;
    (void)length;
    return XENPV_ENOENT;
}

static const char *value_of(const struct agent_facts *facts, const char *name)
{
    for (uint32_t i = 0; i < facts->count; i++)
        if (strcmp(facts->keys[i].name, name) == 0)
            return facts->keys[i].value;
    return "";
}

/* A label is a name of an address: eth0:1 is no interface. */
static void test_addresses_with_a_label(void **state)
{
    static char names[][16] = {"eth0", "eth0:1", "eth0:web", "eth1", "eth1:1"};
    static struct sockaddr_in addresses[5];
    static struct ifaddrs all[5];
    static struct agent_facts facts;
    const struct options options = {.port = PORT_LINUX};
    struct machine machine = {.options = &options};

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        addresses[i].sin_family = AF_INET;
        addresses[i].sin_addr.s_addr = htonl(0x0a000001 + (uint32_t)i);
        all[i].ifa_name = names[i];
        all[i].ifa_addr = (struct sockaddr *)&addresses[i];
        all[i].ifa_next = i + 1 < 5 ? &all[i + 1] : NULL;
    }
    interfaces = all;
    agent_facts_collect(&machine, &facts);
    assert_string_equal(value_of(&facts, "attr/vif/0/ipv4/0"), "10.0.0.1");
    assert_string_equal(value_of(&facts, "attr/vif/0/ipv4/1"), "10.0.0.2");
    assert_string_equal(value_of(&facts, "attr/vif/0/ipv4/2"), "10.0.0.3");
    assert_int_equal(facts.count, XENPV_AGENT_VERSION_KEYS + 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_with_a_label),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Lists that come in parts. */
#include "xs_server.h"

static struct xs_server server;

static void connected(uint32_t first, uint32_t features)
{
    xs_server_start(&server, first, features);
    xs_server_settle(&server);
}

/* As xenstored has it: at most so many bytes of names in an answer. */
static struct {
    uint32_t names, per_part, changes, asked;
    bool unknown;
} listing;

static bool answer_list(struct xs_server *self)
{
    char bytes[4096] = "5";
    uint32_t length = 2, at;

    if (self->request.type == XENPV_XS_DIRECTORY) {
        xs_server_error(self, "E2BIG");
        return true;
    }
    if (self->request.type != XENPV_XS_DIRECTORY_PART)
        return false;
    if (listing.unknown) {
        xs_server_error(self, "ENOSYS");
        return true;
    }
    assert_string_equal(self->payload, "dir");
    listing.asked++;
    if (listing.changes) {
        bytes[0] = (char)('5' + listing.changes % 2);
        listing.changes--;
    }
    at = (uint32_t)atoi(self->payload + 4) / 4;
    for (uint32_t i = 0; i < listing.per_part && at < listing.names; i++, at++) {
        char name[16];

        name[0] = 'n';
        name[1] = (char)('a' + at / 26 % 26);
        name[2] = (char)('a' + at % 26);
        name[3] = '\0';
        memcpy(bytes + length, name, 4);
        length += 4;
    }
    if (at >= listing.names)
        bytes[length++] = '\0';
    xs_server_say(self, XENPV_XS_DIRECTORY_PART, self->request.id, bytes, length);
    return true;
}

static void test_long_lists(void **state)
{
    static const struct {
        uint32_t names, per_part, changes, capacity;
        bool unknown;
        int status;
        uint32_t length, asked;
    } cases[] = {
        {10, 3, 0, 8000, false, 0, 40, 4},
        {9, 3, 0, 8000, false, 0, 36, 3},
        {1500, 1000, 0, 8000, false, 0, 6000, 2},
        {1, 3, 0, 8000, false, 0, 4, 1},
        {0, 3, 0, 8000, false, 0, 0, 1},
        {1500, 1000, 0, 100, false, XENPV_E2BIG, 6000, 2},
        {1500, 1000, 0, 0, false, XENPV_E2BIG, 6000, 2},
        {10, 3, 1, 8000, false, 0, 40, 6},
        {10, 3, 3, 8000, false, 0, 40, 8},
        {10, 3, 99, 8000, false, XENPV_EAGAIN, 12, 18},
        {10, 3, 0, 8000, true, XENPV_E2BIG, 0, 0},
    };
    static char value[8000];

    (void)state;
    for (uint32_t i = 0; i < COUNT(cases); i++) {
        struct xenpv_store_op op = {
            .type = XENPV_STORE_LIST, .dir = "dir", .value = value, .capacity = cases[i].capacity};

        connected(0, 0);
        memset(value, 'z', sizeof(value));
        listing.names = cases[i].names;
        listing.per_part = cases[i].per_part;
        listing.changes = cases[i].changes;
        listing.unknown = cases[i].unknown;
        listing.asked = 0;
        server.answer = answer_list;
        assert_int_equal(xs_server_op(&server, &op), cases[i].status);
        assert_int_equal(op.length, cases[i].length);
        assert_int_equal(listing.asked, cases[i].asked);
        if (!cases[i].status)
            for (uint32_t k = 0; k < cases[i].names; k++)
                assert_int_equal(value[4 * k + 2], 'a' + (int)(k % 26));
        if (cases[i].capacity < 8000)
            assert_int_equal(value[cases[i].capacity], 'z');
        xs_server_stop(&server);
    }
}

static struct {
    const char *payload;
    uint32_t length;
} part;

static bool answer_part(struct xs_server *self)
{
    if (self->request.type == XENPV_XS_DIRECTORY)
        xs_server_error(self, "E2BIG");
    else
        xs_server_say(self, XENPV_XS_DIRECTORY_PART, self->request.id, part.payload, part.length);
    return true;
}

static void test_seed_XS_14_parts_that_are_none(void **state)
{
    static const struct {
        const char *payload;
        uint32_t length;
        int status;
    } cases[] = {
        {"5\0a\0", 5, 0},          {"", 0, XENPV_ESTORE},
        {"5", 1, XENPV_ESTORE},    {"5", 2, XENPV_ESTORE},
        {"5\0a", 3, XENPV_ESTORE}, {"1234567890123456789012345\0a\0", 29, XENPV_ESTORE},
        {"5\0a", 4, XENPV_E2BIG}, /* and so on without an end */
    };
    static char value[64];

    (void)state;
    for (uint32_t i = 0; i < COUNT(cases); i++) {
        struct xenpv_store_op op = {
            .type = XENPV_STORE_LIST, .dir = "dir", .value = value, .capacity = sizeof(value)};
        static char endless[4096];

        connected(0, 0);
        part.payload = cases[i].payload;
        part.length = cases[i].length;
        if (cases[i].status == XENPV_E2BIG) {
            memset(endless, 'a', sizeof(endless));
            endless[1] = endless[4095] = '\0';
            part.payload = endless;
            part.length = 4096;
        }
        server.answer = answer_part;
        assert_int_equal(xs_server_op(&server, &op), cases[i].status);
        assert_true(server.requests < 300);
        server.answer = NULL;
        assert_int_equal(xs_server_read(&server, "a"), XENPV_OK);
        xs_server_stop(&server);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_long_lists),
        cmocka_unit_test(test_seed_XS_14_parts_that_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

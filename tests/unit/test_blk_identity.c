/* SPDX-License-Identifier: MIT */
/*
 * Who a disk is (seed rows A2, A4, O6): SCSI's vital product data pages, as a toolstack puts them
 * into the store, good, cut, long and junk; and that a disk stays who it is wherever it moves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "plain_backend.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SERIAL       "sm-data/scsi/0x12/0x80"
#define DESIGNATOR   "sm-data/scsi/0x12/0x83"

/* ---- pages ----------------------------------------------------------------------------------- */

/* RFC 4648, with its padding. */
static void encode(const uint8_t *bytes, size_t count, char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < count; i += 3) {
        uint32_t word = (uint32_t)bytes[i] << 16;

        if (i + 1 < count)
            word |= (uint32_t)bytes[i + 1] << 8;
        if (i + 2 < count)
            word |= bytes[i + 2];
        for (size_t k = 0; k < 4; k++)
            *text++ = k <= count - i ? digits[word >> (18 - 6 * k) & 63] : '=';
    }
    *text = '\0';
}

struct page {
    uint8_t code;      /* 0x80, 0x83 */
    int length;        /* in the header; -1: what it is */
    const char *bytes; /* of the body ... */
    size_t count;      /* ... and how many */
};

static void write_page(const struct page *page, char *text)
{
    uint8_t whole[512] = {0, page->code};
    size_t length = page->length < 0 ? page->count : (size_t)page->length;

    whole[2] = (uint8_t)(length >> 8);
    whole[3] = (uint8_t)length;
    memcpy(whole + 4, page->bytes, page->count);
    encode(whole, 4 + page->count, text);
}

#define BODY(text) text, sizeof(text) - 1
#define TEN        "0123456789"
#define SIXTY      TEN TEN TEN TEN TEN TEN

static const struct {
    const char *what, *key;
    struct page page;
    const char *expected;
} pages[] = {
    {"a serial number", SERIAL, {0x80, -1, BODY("vol0a1b2c3d4e5f60718")}, "vol0a1b2c3d4e5f60718"},
    {"with blanks around it", SERIAL, {0x80, -1, BODY("   WD-123 4  ")}, "WD-123 4"},
    {"with NULs around it", SERIAL, {0x80, -1, BODY("\0\0abc\0\0\0")}, "abc"},
    {"of one character", SERIAL, {0x80, -1, BODY("x")}, "x"},
    {"of none", SERIAL, {0x80, -1, BODY("")}, ""},
    {"of blanks", SERIAL, {0x80, -1, BODY("        ")}, ""},
    {"with what cannot be printed",
     SERIAL,
     {0x80, -1, BODY("a\x01\xff\x7f+b")},
     "a??"
     "?+b"},
    {"of 63 characters", SERIAL, {0x80, -1, BODY(SIXTY "abc")}, SIXTY "abc"},
    {"longer than there is room", SERIAL, {0x80, -1, BODY(SIXTY "abcdefg")}, SIXTY "abc"},
    {"more bytes than it says", SERIAL, {0x80, 3, BODY("abcdef")}, "abc"},
    {"fewer bytes than it says", SERIAL, {0x80, 7, BODY("abcdef")}, ""},
    {"far fewer", SERIAL, {0x80, 0xffff, BODY("abcdef")}, ""},
    {"another page", SERIAL, {0x00, -1, BODY("abcdef")}, ""},
    {"another page like one of designators",
     DESIGNATOR,
     {0x00, -1, BODY("\x02\x01\0\x04name")},
     ""},
    {"a designator, in text", DESIGNATOR, {0x83, -1, BODY("\x02\x01\0\x08VENDOR 1")}, "VENDOR 1"},
    {"in UTF-8", DESIGNATOR, {0x83, -1, BODY("\x03\x08\0\x04name")}, "name"},
    {"in binary",
     DESIGNATOR,
     {0x83, -1, BODY("\x01\x03\0\x08\x60\x01\x40\x50\x00\xab\xcd\xef")},
     "6001405000abcdef"},
    {"with others behind it",
     DESIGNATOR,
     {0x83, -1, BODY("\x01\x03\0\x02\x12\x34\x02\x01\0\x03xyz")},
     "1234"},
    {"of nothing", DESIGNATOR, {0x83, -1, BODY("\x01\x03\0\0")}, ""},
    {"longer than its page", DESIGNATOR, {0x83, -1, BODY("\x02\x01\0\x09VENDOR 1")}, ""},
    {"without its header", DESIGNATOR, {0x83, -1, BODY("\x02\x01\0")}, ""},
    {"no designator", DESIGNATOR, {0x83, -1, BODY("")}, ""},
    {"of 40 bytes",
     DESIGNATOR,
     {0x83, -1, BODY("\x01\x03\0\x28" TEN TEN TEN TEN)},
     "30313233343536373839303132333435363738393031323334353637383930"},
};

/* Either key may hold either page: it says itself which it is. */
static void read_identity(const struct plain_key *keys, struct xenpv_blk_info *info)
{
    struct plain *plain = malloc(sizeof(*plain));
    struct rig rig;

    rig_up(&rig, &(struct rig_options){.no_backend = true});
    plain_up(plain, &rig);
    plain->answer = keys;
    rig_connect(&rig);
    xenpv_blk_info(rig.blk, info);
    rig_close(&rig);
    plain_down(plain);
    rig_down(&rig);
    free(plain);
}

static void test_seed_A2_pages(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(pages); i++) {
        bool serial = strcmp(pages[i].key, SERIAL) == 0;
        struct xenpv_blk_info info;
        char text[1024];
        const struct plain_key keys[] = {{"sectors", "2048"}, {pages[i].key, text}, {NULL, NULL}};

        print_message("  %s\n", pages[i].what);
        write_page(&pages[i].page, text);
        read_identity(keys, &info);
        assert_string_equal(serial ? info.serial : info.designator, pages[i].expected);
        assert_string_equal(serial ? info.designator : info.serial, "");
    }
}

/* What is no base64, and no page: a name is never made up. */
static void test_seed_A2_O6_junk(void **state)
{
    static char zeroes[2000], digits[2000];
    static const char *const junk[] = {"",       "=",      "====", "!!!!", "A",
                                       "AA",     "AAA",    "AIAA", "gAAA", "\x01\x02",
                                       "AIAABQ", "AIAA/w", zeroes, digits};
    struct xenpv_blk_info info;

    (void)state;
    memset(zeroes, 'A', sizeof(zeroes) - 1);
    memset(digits, '/', sizeof(digits) - 1);
    for (size_t i = 0; i < COUNT(junk); i++) {
        const struct plain_key keys[] = {
            {"sectors", "2048"}, {SERIAL, junk[i]}, {DESIGNATOR, junk[i]}, {NULL, NULL}};

        read_identity(keys, &info);
        assert_string_equal(info.serial, "");
        assert_string_equal(info.designator, "");
    }
}

/* As programs break lines of base64, or leave the padding away. */
static void test_seed_A2_forms_of_base64(void **state)
{
    static const char *const forms[] = {"AIAABWhlbGxv", "AIAA\nBWhl\r\nbGxv\n", " AIAABWhlbGxv ",
                                        "AIAABWhlbGxv====", "AIAABWhlbGxvAA=="};
    struct xenpv_blk_info info;

    (void)state;
    for (size_t i = 0; i < COUNT(forms); i++) {
        const struct plain_key keys[] = {{"sectors", "2048"}, {SERIAL, forms[i]}, {NULL, NULL}};

        read_identity(keys, &info);
        assert_string_equal(info.serial, "hello");
    }
}

/* ---- where it moves -------------------------------------------------------------------------- */

/*
 * The disk is found again by what it says of itself: by another backend domain, under another
 * number, among others of the same kind, and for one who only looks.
 */
static void test_seed_A4_moves(void **state)
{
    static const uint32_t numbers[] = {51712, 51728, 1 << 28 | 300 << 8, 768};
    struct rig rig;
    char text[64];

    (void)state;
    write_page(&(struct page){0x80, -1, BODY("vol1")}, text);
    rig_up(&rig, &(struct rig_options){.recover_ms = 60000});
    rig_remove(&rig);
    rig_kill_back(&rig);
    for (size_t i = 0; i < COUNT(numbers) * 2; i++) {
        uint32_t vdev = numbers[i / 2];
        uint16_t backend = (uint16_t)(2 + i);
        struct xenpv_mock_vbd vbd = {
            .frontend = 1, .backend = backend, .vdev = vdev, .params = "memory"};
        struct xenpv_blk_config config;
        struct xenpv_blk_info info;
        struct xenpv_blk *blk;
        char front[64], back[64], key[128];
        void *memory;

        snprintf(front, sizeof(front), "device/vbd/%u", vdev);
        snprintf(back, sizeof(back), "/local/domain/%u/backend/vbd/1/%u", backend, vdev);
        snprintf(key, sizeof(key), "%s/" SERIAL, back);
        assert_int_equal(xenpv_mock_add_domain(rig.mock, backend), XENPV_OK);
        assert_int_equal(xenpv_mock_add_vbd(rig.mock, &vbd), XENPV_OK);
        assert_int_equal(xenpv_mock_write(rig.mock, key, text), XENPV_OK);
        xenpv_blk_config_init(&config, &rig.front_port, front);
        memory = aligned_alloc(16, (xenpv_blk_size(&config) + 15) & ~(size_t)15);
        assert_int_equal(xenpv_blk_init(memory, &config, &blk), XENPV_OK);
        assert_int_equal(xenpv_blk_inspect(blk, 0), XENPV_OK);
        assert_int_equal(xenpv_blk_step(blk, 0), XENPV_BLK_CLOSED);
        xenpv_blk_info(blk, &info);
        assert_string_equal(info.serial, "vol1");
        assert_int_equal(info.backend_id, backend);
        free(memory);
        assert_int_equal(xenpv_mock_remove_vbd(rig.mock, &vbd), XENPV_OK);
    }
    rig.backend = 0;
    rig_down(&rig);
}

/* It is another disk that comes back in its place: that is told. */
static void test_seed_A4_another_disk_returns(void **state)
{
    struct plain *plain = malloc(sizeof(*plain));
    struct xenpv_blk_info info;
    struct rig rig;
    char first[64], second[64];
    const struct plain_key before[] = {{"sectors", "2048"}, {SERIAL, first}, {NULL, NULL}};
    const struct plain_key after[] = {{"sectors", "4096"}, {SERIAL, second}, {NULL, NULL}};

    (void)state;
    write_page(&(struct page){0x80, -1, BODY("vol1")}, first);
    write_page(&(struct page){0x80, -1, BODY("vol2")}, second);
    rig_up(&rig, &(struct rig_options){.no_backend = true, .recover_ms = 60000});
    plain_up(plain, &rig);
    plain->answer = before;
    rig_connect(&rig);
    xenpv_blk_info(rig.blk, &info);
    assert_string_equal(info.serial, "vol1");
    plain->answer = after;
    rig_set(&rig, rig.backend_path, "state", "5");
    rig_until(&rig, XENPV_BLK_RECOVERING);
    rig_poll_all(&rig);
    rig_until(&rig, XENPV_BLK_CONNECTED);
    xenpv_blk_info(rig.blk, &info);
    assert_string_equal(info.serial, "vol2");
    assert_int_equal(info.bytes, 4096 * 512);
    rig_close(&rig);
    plain_down(plain);
    rig_down(&rig);
    free(plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_A2_pages),
        cmocka_unit_test(test_seed_A2_O6_junk),
        cmocka_unit_test(test_seed_A2_forms_of_base64),
        cmocka_unit_test(test_seed_A4_moves),
        cmocka_unit_test(test_seed_A4_another_disk_returns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

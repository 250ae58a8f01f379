/* SPDX-License-Identifier: MIT */
/* The network backend takes packets: every shape and flag, every lie beside its legal neighbour. */
#include "netback_rig.h"

static struct nb_rig rig;
static uint8_t frame[XENPV_LINK_FRAME_MAX];

static struct xenpv_port map_only;

/* A port that cannot copy, as every hypervisor's may be. */
static void use_map_only(void)
{
    map_only = rig.back_port;
    map_only.caps &= ~(uint32_t)XENPV_CAP_COPY;
    rig.config.port = &map_only;
}

static void expect_frame(const uint8_t *bytes, uint32_t count, uint32_t checksum)
{
    struct xenpv_link_frame got;

    assert_true(nb_wire_take(&rig, &got));
    assert_int_equal(got.bytes, count);
    assert_memory_equal(got.data, bytes, count);
    assert_int_equal(got.checksum, checksum);
    assert_int_equal(got.gso_type, XENPV_NETIF_GSO_NONE);
}

static void expect_none(void)
{
    struct xenpv_link_frame got;

    assert_false(nb_wire_take(&rig, &got));
}

/* All sizes around every page's end, by both ways to reach pages. */
static void test_sizes(void **state)
{
    static const uint32_t around[] = {14,   60,   64,   1514,  4095,  4096,  4097,  8191, 8192,
                                      8193, 8914, 9014, 12288, 40960, 65531, 65534, 65535};

    (void)state;
    for (uint32_t way = 0; way < 2; way++) {
        nb_up(&rig);
        if (way)
            use_map_only();
        nb_start(&rig);
        nb_connect(&rig, &(struct nb_front){0});
        for (uint32_t i = 0; i < COUNT(around); i++) {
            struct nb_packet packet = {.frame = frame,
                                       .total = around[i],
                                       .parts = (around[i] + 4095) / 4096,
                                       .id = (uint16_t)(i * 777)};

            nb_fill(frame, around[i], i);
            assert_int_equal(nb_send(&rig, 0, &packet), XENPV_NETIF_OKAY);
            expect_frame(frame, around[i], XENPV_LINK_AS_IS);
        }
        assert_int_equal(nb_stats(&rig).tx_frames, COUNT(around));
        assert_true(way ? nb_stats(&rig).mapped > 0 && !nb_stats(&rig).copied
                        : nb_stats(&rig).copied > 0 && !nb_stats(&rig).mapped);
        nb_assert_holds(&rig, 2, 1);
        nb_down(&rig);
    }
}

/* BE-07: a header split at every byte, over 2 to 18 slots, at every kind of offset. */
static void test_BE07_split_headers(void **state)
{
    uint32_t bytes[18];

    (void)state;
    nb_up(&rig);
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){0});
    for (uint32_t six = 0; six < 2; six++) {
        struct nb_ip ip = {.ipv6 = six, .payload = 300, .seed = six, .tags = six};
        uint32_t total = nb_make_ip(frame, &ip);
        struct nb_packet whole = {
            .frame = frame, .total = total, .parts = 1, .flags = XENPV_NETTXF_CSUM_BLANK};
        struct xenpv_link_frame got;

        /* What is blank comes with the checksum of the pseudo header. */
        assert_int_equal(nb_send(&rig, 0, &whole), XENPV_NETIF_OKAY);
        assert_true(nb_wire_take(&rig, &got));
        memcpy(frame, got.data, total);
        for (uint32_t split = 1; split <= 128; split++) {
            for (uint32_t parts = 2; parts <= 18; parts++) {
                struct nb_packet packet = {.frame = frame,
                                           .parts = parts,
                                           .bytes = bytes,
                                           .offset = split % 3 ? split * 7 : 0,
                                           .flags = XENPV_NETTXF_CSUM_BLANK};

                bytes[0] = split;
                for (uint32_t i = 1; i < parts; i++)
                    bytes[i] = (total - split) / (parts - 1);
                bytes[parts - 1] += (total - split) % (parts - 1);
                assert_int_equal(nb_send(&rig, 0, &packet), XENPV_NETIF_OKAY);
                expect_frame(frame, total, XENPV_LINK_BLANK);
            }
        }
    }
    nb_down(&rig);
}

/* BE-08: all slot counts with small totals; BE-09: slots of no bytes at every place. */
static void test_BE08_BE09_slots_and_totals(void **state)
{
    uint32_t bytes[19];

    (void)state;
    nb_up(&rig);
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){0});
    nb_fill(frame, 4096, 1);
    for (uint32_t parts = 1; parts <= 19; parts++) {
        for (uint32_t total = 0; total <= 256; total++) {
            struct nb_packet packet = {.frame = frame, .parts = parts, .bytes = bytes};
            bool good = parts <= 18 && total >= 14;

            /* The first one takes what is left, others one byte each, the last ones none. */
            for (uint32_t i = 1; i < parts; i++)
                bytes[i] = i < total;
            bytes[0] = total - (total ? (parts - 1 < total - 1 ? parts - 1 : total - 1) : 0);
            assert_int_equal(nb_send(&rig, 0, &packet),
                             good ? XENPV_NETIF_OKAY : XENPV_NETIF_ERROR);
            if (good)
                expect_frame(frame, total, XENPV_LINK_AS_IS);
            else
                expect_none();
        }
    }
    for (uint32_t empty = 0; empty < 18; empty++) {
        struct nb_packet packet = {.frame = frame, .parts = 18, .bytes = bytes};

        for (uint32_t i = 0; i < 18; i++)
            bytes[i] = i == empty ? 0 : 10 + i;
        assert_int_equal(nb_send(&rig, 0, &packet), XENPV_NETIF_OKAY);
        assert_true(nb_wire_take(&rig, &(struct xenpv_link_frame){0}));
    }
    nb_down(&rig);
}

struct lie {
    const char *what;
    uint32_t parts, total, first_offset, offset;
    uint32_t bytes[3];
    int status;
};

/* Sizes and places that make no sense, each beside one that does. */
static void test_lies(void **state)
{
    static const struct lie lies[] = {
        {"13 bytes", 1, 13, 0, 0, {13}, XENPV_NETIF_ERROR},
        {"14 bytes", 1, 14, 0, 0, {14}, XENPV_NETIF_OKAY},
        {"a fragment larger than the whole", 2, 100, 0, 0, {0, 101}, XENPV_NETIF_ERROR},
        {"all in the fragment", 2, 100, 0, 0, {0, 100}, XENPV_NETIF_OKAY},
        {"fragments larger than the whole", 3, 100, 0, 0, {0, 60, 41}, XENPV_NETIF_ERROR},
        {"a first slot over the page's end", 1, 100, 3997, 0, {100}, XENPV_NETIF_ERROR},
        {"a first slot up to the page's end", 1, 100, 3996, 0, {100}, XENPV_NETIF_OKAY},
        {"a page and a byte", 1, 4097, 0, 0, {4097}, XENPV_NETIF_ERROR},
        {"offset 65535", 1, 100, 65535, 0, {100}, XENPV_NETIF_ERROR},
        {"a fragment over the page's end", 2, 200, 0, 3997, {100, 100}, XENPV_NETIF_ERROR},
        {"a fragment up to the page's end", 2, 200, 0, 3996, {100, 100}, XENPV_NETIF_OKAY},
        {"the first slot's share is more than a page", 2, 8000, 0, 0, {0, 100}, XENPV_NETIF_ERROR},
    };

    (void)state;
    for (uint32_t way = 0; way < 2; way++) {
        nb_up(&rig);
        if (way)
            use_map_only();
        nb_start(&rig);
        nb_connect(&rig, &(struct nb_front){0});
        for (size_t i = 0; i < COUNT(lies); i++) {
            const struct lie *lie = &lies[i];

            for (uint32_t part = 0; part < lie->parts; part++) {
                struct xenpv_netif_tx_request request = {
                    .ref = rig.data_refs[part],
                    .offset = (uint16_t)(part ? lie->offset : lie->first_offset),
                    .flags = part + 1 < lie->parts ? XENPV_NETTXF_MORE_DATA : 0,
                    .id = (uint16_t)part,
                    .size = (uint16_t)(part ? lie->bytes[part] : lie->total)};

                nb_tx(&rig, 0, &request);
            }
            nb_tx_publish(&rig, 0);
            nb_steps(&rig, 1);
            for (uint32_t part = 0; part < lie->parts; part++) {
                int status = nb_tx_take(&rig, 0).status;

                if (status != lie->status)
                    fail_msg("%s: %d", lie->what, status);
            }
            assert_int_equal(nb_wire_take(&rig, &(struct xenpv_link_frame){0}),
                             lie->status == XENPV_NETIF_OKAY);
        }
        /* None of it has ended the connection. */
        assert_int_equal(nb_get(&rig, NB_BACK, "state"), 4);
        nb_down(&rig);
    }
}

/* A page that cannot be read: the packet fails as a whole, its neighbours do not. */
static void test_bad_references(void **state)
{
    (void)state;
    for (uint32_t way = 0; way < 2; way++) {
        nb_up(&rig);
        if (way)
            use_map_only();
        nb_start(&rig);
        nb_connect(&rig, &(struct nb_front){0});
        nb_fill(frame, 9000, 5);
        for (uint32_t bad = 0; bad < 3; bad++) {
            struct nb_packet packet = {.frame = frame, .total = 9000, .parts = 3};
            uint32_t ref = rig.data_refs[bad];

            packet.page = 10;
            nb_tx_packet(&rig, 0, &packet);
            packet.page = 0;
            rig.data_refs[bad] = 30000;
            nb_tx_packet(&rig, 0, &packet);
            rig.data_refs[bad] = ref;
            packet.page = 20;
            nb_tx_packet(&rig, 0, &packet);
            nb_tx_publish(&rig, 0);
            nb_steps(&rig, 1);
            for (uint32_t i = 0; i < 9; i++)
                assert_int_equal(nb_tx_take(&rig, 0).status,
                                 i / 3 == 1 ? XENPV_NETIF_ERROR : XENPV_NETIF_OKAY);
            expect_frame(frame, 9000, XENPV_LINK_AS_IS);
            expect_frame(frame, 9000, XENPV_LINK_AS_IS);
            expect_none();
        }
        nb_down(&rig);
    }
}

/* Without feature-sg a packet has one slot. */
static void test_no_sg(void **state)
{
    struct nb_packet packet = {.frame = frame, .total = 4096, .parts = 1};

    (void)state;
    nb_up(&rig);
    rig.config.without = XENPV_NET_SG;
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){0});
    assert_int_equal(nb_get(&rig, NB_BACK, "feature-sg"), 0);
    assert_int_equal(nb_get(&rig, NB_BACK, "feature-gso-tcpv4"), 0);
    nb_fill(frame, 8192, 3);
    assert_int_equal(nb_send(&rig, 0, &packet), XENPV_NETIF_OKAY);
    expect_frame(frame, 4096, XENPV_LINK_AS_IS);
    packet.total = 4097;
    packet.parts = 2;
    assert_int_equal(nb_send(&rig, 0, &packet), XENPV_NETIF_ERROR);
    expect_none();
    nb_down(&rig);
}

/* ---- answers --------------------------------------------------------------------------------- */

/* A link that is full drops; the frontend is told. */
static int refuse_all(void *ctx, const struct xenpv_link_frame *unused)
{
    (void)ctx;
    (void)unused;
    return XENPV_EFULL;
}

static void test_dropped(void **state)
{
    struct nb_packet packet = {.frame = frame, .total = 100, .parts = 1};

    (void)state;
    nb_up(&rig);
    rig.link.send = refuse_all;
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){0});
    assert_int_equal(nb_send(&rig, 0, &packet), XENPV_NETIF_DROPPED);
    assert_int_equal(nb_stats(&rig).tx_dropped, 1);
    assert_int_equal(nb_stats(&rig).tx_frames, 0);
    nb_down(&rig);
}

/* A sink that looks at nothing is given nothing: no page is touched. */
static void test_sink(void **state)
{
    struct nb_packet packet = {.frame = frame, .total = 9000, .parts = 3};
    struct xenpv_link null;

    (void)state;
    assert_int_equal(xenpv_link_null(0, &null), XENPV_OK);
    nb_up(&rig);
    rig.config.link = &null;
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){0});
    assert_int_equal(nb_send(&rig, 0, &packet), XENPV_NETIF_OKAY);
    packet.total = 13;
    packet.parts = 1;
    assert_int_equal(nb_send(&rig, 0, &packet), XENPV_NETIF_ERROR);
    assert_int_equal(nb_stats(&rig).copied + nb_stats(&rig).mapped, 0);
    assert_int_equal(nb_stats(&rig).tx_bytes, 9000);
    nb_down(&rig);
}

/* A backend that polls asks for no events, and wants to be stepped at once; what comes is taken. */
static void test_poll(void **state)
{
    (void)state;
    for (int poll = 0; poll < 2; poll++) {
        struct nb_packet packet = {.frame = frame, .parts = 1, .total = 64};
        const struct xenpv_ring *ring = &rig.queue[0].tx;
        uint32_t asked;

        nb_up(&rig);
        rig.config.poll = poll != 0;
        nb_start(&rig);
        nb_connect(&rig, &(struct nb_front){0});
        nb_steps(&rig, 4);
        asked = xenpv_load(&ring->out->event);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(nb_send(&rig, 0, &packet), XENPV_NETIF_OKAY);
            nb_steps(&rig, 4);
        }
        assert_int_equal(nb_stats(&rig).tx_frames, 3);
        assert_int_equal(xenpv_load(&ring->out->event) == asked, poll);
        assert_int_equal(xenpv_netback_deadline(rig.back) == 0, poll);
        nb_down(&rig);
    }
}

/* Every slot of a full ring is answered once; shuffled, in another order. */
static void test_full_ring(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 3; seed++) {
        uint8_t seen[256] = {0};
        uint32_t moved = 0;

        nb_up(&rig);
        rig.config.shuffle = seed;
        nb_start(&rig);
        nb_connect(&rig, &(struct nb_front){0});
        for (uint32_t round = 0; round < 3; round++) {
            memset(seen, 0, sizeof(seen));
            for (uint32_t i = 0; i < 256; i++)
                nb_tx_packet(
                    &rig, 0,
                    &(struct nb_packet){
                        .frame = frame, .total = 60, .parts = 1, .page = i, .id = (uint16_t)i});
            assert_int_equal(xenpv_ring_free(&rig.queue[0].tx), 0);
            nb_tx_publish(&rig, 0);
            nb_steps(&rig, 1);
            for (uint32_t i = 0; i < 256; i++) {
                struct xenpv_netif_tx_response response = nb_tx_take(&rig, 0);

                assert_int_equal(response.status, XENPV_NETIF_OKAY);
                assert_in_range(response.id, 0, 255);
                assert_int_equal(seen[response.id]++, 0);
                moved += response.id != i;
            }
            while (nb_wire_take(&rig, &(struct xenpv_link_frame){0}))
                ;
        }
        assert_int_equal(moved > 0, seed > 0);
        nb_down(&rig);
    }
}

/* ---- lies that end a connection -------------------------------------------------------------- */

static void expect_broken(uint32_t check, uint32_t queue)
{
    const struct xenpv_detail *detail;

    nb_steps(&rig, 2);
    detail = xenpv_netback_detail(rig.back);
    assert_int_equal(detail->error, XENPV_EBROKEN);
    assert_int_equal(detail->check, check);
    assert_int_equal(detail->queue, queue);
    nb_until(&rig, 5);
    nb_set(&rig, NB_FRONT, "state", "6");
    nb_until(&rig, 6);
    nb_assert_holds(&rig, 0, 0);
    nb_end(&rig);
    /* The next connection is served as if nothing had been. */
    nb_connect(&rig, &(struct nb_front){0});
    assert_int_equal(nb_send(&rig, 0, &(struct nb_packet){.frame = frame, .total = 60, .parts = 1}),
                     XENPV_NETIF_OKAY);
}

/* BE-01: a producer index more than a ring ahead, or behind, on each ring. */
static void test_BE01_producer(void **state)
{
    static const uint32_t ahead[] = {257, 1u << 31, UINT32_MAX, 4096};

    (void)state;
    for (uint32_t i = 0; i < 2 * COUNT(ahead); i++) {
        struct xenpv_ring *ring;

        nb_up(&rig);
        nb_start(&rig);
        nb_connect(&rig, &(struct nb_front){.queues = 3});
        ring = i & 1 ? &rig.queue[2].rx : &rig.queue[2].tx;
        xenpv_store(&ring->out->prod, ring->prod + ahead[i / 2]);
        expect_broken(XENPV_CHECK_REQ_PROD, 2);
        nb_down(&rig);
    }
}

#define GSO(kind, bytes)                                                                           \
    {                                                                                              \
        .type = XENPV_NETIF_EXTRA_GSO, .u.gso = {.size = (bytes), .type = (kind) }                 \
    }

struct cut {
    const char *what;
    uint16_t flags, extra_flags;
    bool extra;
};

/* A packet whose rest never comes. */
static void test_cut_short(void **state)
{
    static const struct cut cuts[] = {
        {"no second part", XENPV_NETTXF_MORE_DATA, 0, false},
        {"no extra info", XENPV_NETTXF_EXTRA_INFO, 0, false},
        {"no second extra info", XENPV_NETTXF_EXTRA_INFO, XENPV_NETIF_EXTRA_MORE, true},
        {"no second part behind an extra info", XENPV_NETTXF_EXTRA_INFO | XENPV_NETTXF_MORE_DATA, 0,
         true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cuts); i++) {
        struct xenpv_netif_tx_request request = {.flags = cuts[i].flags, .size = 60};
        struct xenpv_netif_extra extra = GSO(1, 100);

        nb_up(&rig);
        nb_start(&rig);
        nb_connect(&rig, &(struct nb_front){0});
        request.ref = rig.data_refs[0];
        extra.flags = (uint8_t)cuts[i].extra_flags;
        nb_tx(&rig, 0, &request);
        if (cuts[i].extra)
            nb_tx_extra(&rig, 0, &extra);
        nb_tx_publish(&rig, 0);
        expect_broken(XENPV_CHECK_TX_WHOLE, 0);
        nb_down(&rig);
    }
}

/* Pages that we may only read, as other frontends grant them. */
static void test_readonly_pages(void **state)
{
    static _Alignas(XENPV_PAGE_SIZE) uint8_t page[XENPV_PAGE_SIZE];

    (void)state;
    for (uint32_t way = 0; way < 2; way++) {
        uint32_t ref, mine;
        struct xenpv_grant_region region = {.memory = page, .pages = 1, .refs = &ref};

        nb_up(&rig);
        if (way)
            use_map_only();
        nb_start(&rig);
        nb_connect(&rig, &(struct nb_front){0});
        nb_fill(page, sizeof(page), way);
        assert_int_equal(rig.front_port.grant->share_own(rig.front_port.ctx, 0, &region, false),
                         XENPV_OK);
        mine = rig.data_refs[0];
        rig.data_refs[0] = ref;
        assert_int_equal(nb_send(&rig, 0, &(struct nb_packet){.total = 4096, .parts = 1}),
                         XENPV_NETIF_OKAY);
        rig.data_refs[0] = mine;
        expect_frame(page, 4096, XENPV_LINK_AS_IS);
        assert_int_equal(rig.front_port.grant->end(rig.front_port.ctx, &region), XENPV_OK);
        nb_down(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_BE07_split_headers),
        cmocka_unit_test(test_BE08_BE09_slots_and_totals),
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_bad_references),
        cmocka_unit_test(test_no_sg),
        cmocka_unit_test(test_dropped),
        cmocka_unit_test(test_sink),
        cmocka_unit_test(test_poll),
        cmocka_unit_test(test_full_ring),
        cmocka_unit_test(test_BE01_producer),
        cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_readonly_pages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

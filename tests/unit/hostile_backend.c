/* SPDX-License-Identifier: MIT */
#include "hostile_backend.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

void hostile_offer(struct rig *rig)
{
    rig_set(rig, RIG_BACKEND_PATH, "sectors", "2048");
    rig_set(rig, RIG_BACKEND_PATH, "sector-size", "512");
    rig_set(rig, RIG_BACKEND_PATH, "info", "0");
    rig_set(rig, RIG_BACKEND_PATH, "feature-flush-cache", "1");
}

void hostile_attach(struct rig *rig, struct hostile *hostile)
{
    const struct xenpv_port *port = &rig->back_port;
    int ref = rig_get(rig, RIG_FRONTEND_PATH, "ring-ref");
    int channel = rig_get(rig, RIG_FRONTEND_PATH, "event-channel");

    *hostile = (struct hostile){.entry = {.ref = (uint32_t)ref}};
    hostile->map = (struct xenpv_map_region){.entries = &hostile->entry, .count = 1, .domid = 1};
    assert_int_equal(port->map->map(port->ctx, &hostile->map), XENPV_OK);
    assert_int_equal(port->event->bind_interdomain(port->ctx, 1, (uint32_t)channel, &hostile->port),
                     XENPV_OK);
    xenpv_ring_attach_back(&hostile->ring, hostile->map.memory, XENPV_PAGE_SIZE,
                           xenpv_blkif_slot_size(XENPV_ABI_X86_64));
}

void hostile_connect(struct rig *rig, struct hostile *hostile)
{
    assert_int_equal(xenpv_blk_connect(rig->blk, xenpv_mock_now(rig->mock)), XENPV_OK);
    rig_set(rig, RIG_BACKEND_PATH, "state", "2");
    for (int i = 0; i < 100 && rig_get(rig, RIG_FRONTEND_PATH, "state") != 3; i++)
        rig_step(rig);
    hostile_attach(rig, hostile);
    rig_set(rig, RIG_BACKEND_PATH, "state", "4");
    rig_until(rig, XENPV_BLK_CONNECTED);
}

void hostile_close(struct rig *rig, struct hostile *hostile, enum xenpv_blk_state state)
{
    const struct xenpv_port *port = &rig->back_port;
    struct xenpv_completion done;

    for (int i = 0; i < 100 && rig_get(rig, RIG_FRONTEND_PATH, "state") < 5; i++) {
        rig_step(rig);
        xenpv_blkq_poll(rig->q, &done, 1);
    }
    assert_in_range(rig_get(rig, RIG_FRONTEND_PATH, "state"), 5, 6);
    rig_set(rig, RIG_BACKEND_PATH, "state", "5");
    rig_step(rig);
    port->map->unmap(port->ctx, &hostile->map);
    port->event->close(port->ctx, hostile->port);
    rig_set(rig, RIG_BACKEND_PATH, "state", "6");
    rig_until(rig, state);
}

void hostile_take(struct hostile *hostile, struct xenpv_blkif_request *request)
{
    _Alignas(8) uint8_t image[XENPV_BLKIF_SLOT_MAX];

    assert_true(xenpv_ring_available(&hostile->ring) > 0);
    xenpv_ring_take(&hostile->ring, image, sizeof(image));
    xenpv_blkif_get_request(XENPV_ABI_X86_64, image, request);
}

void hostile_put(struct hostile *hostile, uint64_t id, uint8_t op, int16_t status)
{
    struct xenpv_blkif_response response = {id, op, status};
    _Alignas(8) uint8_t image[XENPV_BLKIF_SLOT_MAX];

    xenpv_ring_put(&hostile->ring, image,
                   xenpv_blkif_put_response(XENPV_ABI_X86_64, &response, image));
}

void hostile_publish(struct hostile *hostile)
{
    xenpv_ring_publish(&hostile->ring);
}

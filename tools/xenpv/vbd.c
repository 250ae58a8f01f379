/* SPDX-License-Identifier: MIT */
#include "vbd.h"

#include "complain.h"

#include <stdio.h>
#include <string.h>

#define CLOSE_MS 5000u /* for each step of closing, or less if --timeout says so */

int vbd_make(struct vbd *vbd, struct machine *machine, const struct device *device)
{
    uint32_t timeout = machine->options->timeout_ms;
    struct xenpv_blk_config config;
    int rc;

    *vbd = (struct vbd){.machine = machine, .device = *device};
    xenpv_blk_config_init(&config, &machine->port, device->path);
    config.connect_ms = timeout;
    config.close_ms = timeout != 0 && timeout < CLOSE_MS ? timeout : CLOSE_MS;
    vbd->memory = os_alloc(xenpv_blk_size(&config), 16);
    if (!vbd->memory)
        return complain(STATUS_ENVIRONMENT, "%s: out of memory", device->name);
    rc = xenpv_blk_init(vbd->memory, &config, &vbd->blk);
    if (rc)
        return complain(STATUS_FAILED, "%s: %s", device->name, xenpv_error_text(rc));
    vbd->queue = xenpv_blk_queue(vbd->blk, 0);
    return STATUS_DONE;
}

/* With -v, each state that either end reaches. */
static void remark_states(struct vbd *vbd)
{
    struct xenpv_blk_info info;

    xenpv_blk_info(vbd->blk, &info);
    if (info.backend_state == XENPV_STATE_UNREAD)
        return;
    if (info.frontend_state == vbd->seen_states[0] && info.backend_state == vbd->seen_states[1])
        return;
    vbd->seen_states[0] = info.frontend_state;
    vbd->seen_states[1] = info.backend_state;
    remark(vbd->machine->options, "%s: frontend %u %s, backend %u %s", vbd->device.name,
           info.frontend_state, xenpv_bus_state_name(info.frontend_state), info.backend_state,
           xenpv_bus_state_name(info.backend_state));
}

bool vbd_step(struct vbd *vbd)
{
    bool failed = xenpv_blk_detail(vbd->blk)->error != 0;
    uint64_t now = machine_now(vbd->machine);
    enum xenpv_blk_state state = xenpv_blk_step(vbd->blk, now);

    if (!failed && xenpv_blk_detail(vbd->blk)->error != 0)
        vbd->failed_after = now - vbd->began;
    remark_states(vbd);
    return state == XENPV_BLK_CONNECTED;
}

void vbd_wait(struct vbd *vbd, const struct os_wait *wait)
{
    struct os_wait waits[2] = {{.handle = XENPV_NO_HANDLE}, {.handle = XENPV_NO_HANDLE}};
    bool has_handles = (vbd->machine->port.caps & XENPV_CAP_WAIT) != 0;

    if (xenpv_blkq_wait_handle(vbd->queue) != XENPV_NO_HANDLE) {
        if (xenpv_blkq_arm(vbd->queue) != 0 && has_handles)
            return;
        waits[0].handle = xenpv_blkq_wait_handle(vbd->queue);
    }
    if (wait)
        waits[1] = *wait;
    machine_wait(vbd->machine, waits, 2, xenpv_blk_deadline(vbd->blk));
}

static bool is_on_the_way(const struct vbd *vbd)
{
    enum xenpv_blk_state state = xenpv_blk_state(vbd->blk);

    return state == XENPV_BLK_CONNECTING || state == XENPV_BLK_CLOSING;
}

/* Steps until the device has arrived; whatever its queue still brings is nobody's any more. */
static void travel(struct vbd *vbd)
{
    struct xenpv_completion unwanted[16];
    bool stopping = false;

    for (;;) {
        vbd_step(vbd);
        while (xenpv_blkq_poll(vbd->queue, unwanted, 16) > 0)
            ;
        if (!is_on_the_way(vbd))
            return;
        if (os_stop_signal() && !stopping) {
            xenpv_blk_close(vbd->blk, machine_now(vbd->machine));
            stopping = true;
            continue;
        }
        vbd_wait(vbd, NULL);
    }
}

int vbd_inspect(struct vbd *vbd)
{
    vbd->began = machine_now(vbd->machine);
    xenpv_blk_inspect(vbd->blk, vbd->began);
    travel(vbd);
    return xenpv_blk_state(vbd->blk) == XENPV_BLK_CLOSED ? STATUS_DONE : STATUS_FAILED;
}

int vbd_connect(struct vbd *vbd)
{
    int status = machine_claim(vbd->machine, "vbd", vbd->device.id);

    if (status != STATUS_DONE)
        return status;
    vbd->began = machine_now(vbd->machine);
    xenpv_blk_connect(vbd->blk, vbd->began);
    travel(vbd);
    return xenpv_blk_state(vbd->blk) == XENPV_BLK_CONNECTED ? STATUS_DONE : STATUS_FAILED;
}

static void shut(struct vbd *vbd)
{
    enum xenpv_blk_state state = xenpv_blk_state(vbd->blk);

    if (state == XENPV_BLK_CONNECTED) {
        vbd->began = machine_now(vbd->machine);
        xenpv_blk_close(vbd->blk, vbd->began);
    }
    travel(vbd);
    if (xenpv_blk_abandoned(vbd->blk))
        remark(vbd->machine->options, "%s: the backend never gave %u pages back", vbd->device.name,
               xenpv_blk_abandoned(vbd->blk));
}

/* A backend that is silent because its domain is no more: dom0 can tell. */
static void note_fate(struct vbd *vbd)
{
    struct xenpv_blk_info info;
    const char *fate;
    size_t used = strlen(vbd->note);

    xenpv_blk_info(vbd->blk, &info);
    fate = machine_fate(vbd->machine, info.backend_id);
    if (fate[0])
        snprintf(vbd->note + used, sizeof(vbd->note) - used, "; domain %u %s", info.backend_id,
                 fate);
}

int vbd_close(struct vbd *vbd, int status)
{
    const struct xenpv_detail *detail;

    if (vbd->blk) {
        shut(vbd);
        detail = xenpv_blk_detail(vbd->blk);
        if (detail->error == XENPV_ETIMEDOUT || detail->error == XENPV_EPEER)
            note_fate(vbd);
        if (detail->error)
            status = complain_of_device(vbd->device.name, detail, vbd->failed_after, vbd->note);
    }
    os_free(vbd->memory);
    return status;
}

/* SPDX-License-Identifier: MIT */
#include "vbd.h"

#include "complain.h"

#include <stdio.h>
#include <string.h>

#define CLOSE_MS 5000u /* for each step of closing, or less if --timeout says so */

/* ------------------------------------------------------------------------------------ making -- */

static int make(struct vbd *vbd)
{
    int rc;

    vbd->memory = os_alloc(xenpv_blk_size(&vbd->config), 16);
    if (!vbd->memory)
        return complain(STATUS_ENVIRONMENT, "%s: out of memory", vbd->device.name);
    rc = xenpv_blk_init(vbd->memory, &vbd->config, &vbd->blk);
    if (rc)
        return complain(STATUS_FAILED, "%s: %s", vbd->device.name, xenpv_error_text(rc));
    return STATUS_DONE;
}

int vbd_make(struct vbd *vbd, struct machine *machine, const struct device *device,
             unsigned sharers)
{
    uint32_t timeout = machine->options->timeout_ms;

    *vbd = (struct vbd){.machine = machine, .device = *device, .form.sharers = sharers};
    xenpv_blk_config_init(&vbd->config, &machine->port, vbd->device.path);
    vbd->config.connect_ms = timeout;
    vbd->config.close_ms = timeout != 0 && timeout < CLOSE_MS ? timeout : CLOSE_MS;
    vbd->config.recover_ms = timeout ? timeout : UINT32_MAX; /* there 0 is: not at all */
    form_set(&vbd->config, machine, &vbd->form);
    return make(vbd);
}

/* ---------------------------------------------------------------------------------- stepping -- */

/* A backend that returns may offer fewer queues. With -v, each state that either end reaches. */
static void look(struct vbd *vbd)
{
    struct xenpv_blk_info info;

    xenpv_blk_info(vbd->blk, &info);
    if (xenpv_blk_state(vbd->blk) == XENPV_BLK_CONNECTED)
        vbd->queues = info.queues;
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

/* Says once that a connection is lost, and once that it has returned. */
static void notice_loss(struct vbd *vbd, enum xenpv_blk_state state, uint64_t now)
{
    const struct options *options = vbd->machine->options;

    if (state == XENPV_BLK_RECOVERING && !vbd->lost) {
        vbd->lost = true;
        vbd->began = now;
        if (options->timeout_ms)
            notice(options,
                   "%s: the connection is lost; waiting up to %u ms for the backend to return",
                   vbd->device.name, options->timeout_ms);
        else
            notice(options, "%s: the connection is lost; waiting for the backend to return",
                   vbd->device.name);
    } else if (state == XENPV_BLK_CONNECTED && vbd->lost) {
        vbd->lost = false;
        notice(options, "%s: connected again after %llu ms", vbd->device.name,
               (unsigned long long)(now - vbd->began));
    }
}

bool vbd_step(struct vbd *vbd)
{
    bool failed = xenpv_blk_detail(vbd->blk)->error != 0;
    uint64_t now = machine_now(vbd->machine);
    enum xenpv_blk_state state = xenpv_blk_step(vbd->blk, now);

    if (!failed && xenpv_blk_detail(vbd->blk)->error != 0)
        vbd->failed_after = now - vbd->began;
    look(vbd);
    notice_loss(vbd, state, now);
    return state == XENPV_BLK_CONNECTED || state == XENPV_BLK_RECOVERING;
}

struct xenpv_blkq *vbd_queue(const struct vbd *vbd, unsigned number)
{
    return xenpv_blk_queue(vbd->blk, number % vbd->queues);
}

/* ----------------------------------------------------------------------------------- waiting -- */

static void add_queue(struct vbd *vbd, struct xenpv_blkq *queue, struct vbd_waits *waits)
{
    xenpv_handle handle = xenpv_blkq_wait_handle(queue);

    if (vbd->config.poll) /* nothing would end the wait */
        waits->ready |= xenpv_blkq_pending(queue) != 0 && !xenpv_blkq_held(queue);
    else if (handle == XENPV_NO_HANDLE)
        return;
    else if (xenpv_blkq_arm(queue) != 0)
        waits->ready = true;
    else if (waits->count < OS_WAITS_MAX)
        waits->waits[waits->count++] = (struct os_wait){.handle = handle};
}

void vbd_add_waits(struct vbd *vbd, struct vbd_waits *waits)
{
    uint64_t deadline = xenpv_blk_deadline(vbd->blk);

    for (uint32_t i = 0; i < vbd->queues; i++)
        add_queue(vbd, xenpv_blk_queue(vbd->blk, i), waits);
    if (deadline < waits->deadline)
        waits->deadline = deadline;
}

void vbd_wait(struct machine *machine, const struct vbd_waits *waits)
{
    machine_wait(machine, waits->waits, waits->count, waits->ready ? 0 : waits->deadline);
}

static bool is_on_the_way(const struct vbd *vbd)
{
    enum xenpv_blk_state state = xenpv_blk_state(vbd->blk);

    return state == XENPV_BLK_CONNECTING || state == XENPV_BLK_RECOVERING ||
           state == XENPV_BLK_CLOSING;
}

/* Whatever the queues still bring is nobody's any more; all must learn that they are to park. */
static void empty_queues(struct vbd *vbd)
{
    struct xenpv_completion unwanted[16];

    for (uint32_t i = 0; i < vbd->config.queues; i++)
        while (xenpv_blkq_poll(xenpv_blk_queue(vbd->blk, i), unwanted, 16) > 0)
            ;
}

/* Steps until the device has arrived. */
static void travel(struct vbd *vbd)
{
    bool stopping = false;

    for (;;) {
        struct vbd_waits waits = {.deadline = UINT64_MAX};

        vbd_step(vbd);
        empty_queues(vbd);
        if (!is_on_the_way(vbd))
            return;
        if (os_stop_signal() && !stopping) {
            xenpv_blk_close(vbd->blk, machine_now(vbd->machine));
            stopping = true;
            continue;
        }
        vbd_add_waits(vbd, &waits);
        vbd_wait(vbd->machine, &waits);
    }
}

/* ------------------------------------------------------------------------------- connecting -- */

int vbd_inspect(struct vbd *vbd)
{
    vbd->began = machine_now(vbd->machine);
    xenpv_blk_inspect(vbd->blk, vbd->began);
    travel(vbd);
    return xenpv_blk_state(vbd->blk) == XENPV_BLK_CLOSED ? STATUS_DONE : STATUS_FAILED;
}

static bool connect_once(struct vbd *vbd)
{
    vbd->began = machine_now(vbd->machine);
    xenpv_blk_connect(vbd->blk, vbd->began);
    travel(vbd);
    return xenpv_blk_state(vbd->blk) == XENPV_BLK_CONNECTED;
}

/* Another process has the pages, or a backend has not returned them: less may still be free. */
static bool lacks_grants(const struct vbd *vbd)
{
    return xenpv_blk_state(vbd->blk) == XENPV_BLK_FAILED &&
           xenpv_blk_detail(vbd->blk)->error == XENPV_ENOGRANT && form_can_shrink(&vbd->config) &&
           !os_stop_signal();
}

static int make_again(struct vbd *vbd)
{
    os_free(vbd->memory);
    vbd->memory = NULL;
    vbd->blk = NULL;
    form_set(&vbd->config, vbd->machine, &vbd->form);
    return make(vbd);
}

static int make_smaller(struct vbd *vbd)
{
    vbd->form.attempt++;
    remark(vbd->machine->options, "%s: too few pages can be shared; trying with half of them",
           vbd->device.name);
    return make_again(vbd);
}

/* Queues that the backend offers; 0 when it has not said so yet. */
static uint32_t offered_queues(const struct vbd *vbd)
{
    struct xenpv_negotiation features[XENPV_BLK_NEGOTIATIONS];
    uint32_t count = xenpv_blk_negotiation(vbd->blk, features);
    struct xenpv_blk_info info;

    xenpv_blk_info(vbd->blk, &info);
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(features[i].key, "multi-queue-max-queues") == 0 &&
            (features[i].status == XENPV_KEY_GOOD || info.backend_state == XENPV_STATE_INIT_WAIT))
            return info.queues;
    return 0;
}

/* What queues that are not there would have, goes to those that are. */
static int fit_to_offer(struct vbd *vbd)
{
    if (vbd->config.queues == 1 || vbd_inspect(vbd) != STATUS_DONE)
        return STATUS_DONE;
    vbd->form.queues = offered_queues(vbd);
    return make_again(vbd);
}

/* With -v, what became of the wishes. A doubt is for everybody: the data may be at stake. */
static void remark_use(const struct vbd *vbd)
{
    struct xenpv_blk_info info;
    char features[128] = "";

    xenpv_blk_info(vbd->blk, &info);
    for (uint32_t bit = 0; bit < XENPV_BLK_FEATURES; bit++)
        if (info.features & 1u << bit)
            snprintf(features + strlen(features), sizeof(features) - strlen(features), " %s",
                     xenpv_blk_feature_name(bit));
    remark(vbd->machine->options,
           "%s: in use: %u queues, %u ring pages, %u segments, %u buffer pages; features:%s",
           vbd->device.name, info.queues, info.ring_pages, info.segments, vbd->config.buffer_pages,
           features[0] ? features : " none");
    if (info.doubt[0])
        complain(STATUS_DONE, "%s: doubt: %s; the switch is --units", vbd->device.name, info.doubt);
}

int vbd_connect(struct vbd *vbd)
{
    int status = machine_claim(vbd->machine, "vbd", vbd->device.id);

    if (status == STATUS_DONE)
        status = fit_to_offer(vbd);
    while (status == STATUS_DONE && !connect_once(vbd))
        status = lacks_grants(vbd) ? make_smaller(vbd) : STATUS_FAILED;
    if (status == STATUS_DONE)
        remark_use(vbd);
    return status;
}

/* ----------------------------------------------------------------------------------- closing -- */

static void shut(struct vbd *vbd)
{
    enum xenpv_blk_state state = xenpv_blk_state(vbd->blk);

    if (state == XENPV_BLK_CONNECTED || state == XENPV_BLK_RECOVERING) {
        vbd->began = machine_now(vbd->machine);
        xenpv_blk_close(vbd->blk, vbd->began);
    }
    travel(vbd);
    if (xenpv_blk_abandoned(vbd->blk))
        remark(vbd->machine->options, "%s: the backend never gave %u pages back", vbd->device.name,
               xenpv_blk_abandoned(vbd->blk));
}

/* Says why the device failed, if it did. */
static int judge(struct vbd *vbd, int status)
{
    const struct xenpv_detail *detail = xenpv_blk_detail(vbd->blk);
    struct xenpv_blk_info info;

    xenpv_blk_info(vbd->blk, &info);
    return detail->error ? device_complain(vbd->machine, vbd->device.name, detail,
                                           vbd->failed_after, info.backend_id, vbd->note)
                         : status;
}

int vbd_close(struct vbd *vbd, int status)
{
    if (vbd->blk) {
        shut(vbd);
        status = judge(vbd, status);
    }
    os_free(vbd->memory);
    return status;
}

void vbd_close_quietly(struct vbd *vbd)
{
    if (vbd->blk)
        shut(vbd);
    os_free(vbd->memory);
}

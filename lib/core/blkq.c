/* SPDX-License-Identifier: MIT */
/* The block queue: what its thread calls, and how it stops for control. */
#include "blk_device.h"
#include "check.h"

#define IOV_MAX_COUNT 65535u

/* ---- lists of operations --------------------------------------------------------------------- */

static void append(struct xenpv_blkq *q, struct blk_list *list, uint32_t number)
{
    q->operations[number].next = BLK_NONE;
    if (list->first == BLK_NONE)
        list->first = number;
    else
        q->operations[list->last].next = number;
    list->last = number;
}

static uint32_t take_first(struct xenpv_blkq *q, struct blk_list *list)
{
    uint32_t number = list->first;

    if (number != BLK_NONE)
        list->first = q->operations[number].next;
    return number;
}

/* ---- for control, while parked --------------------------------------------------------------- */

static size_t aligned(size_t bytes)
{
    return (bytes + 15) & ~(size_t)15;
}

size_t blkq_memory(const struct xenpv_blk_config *config)
{
    return aligned(config->operations * sizeof(struct blk_operation)) +
           arena_size(config->buffer_pages + 1);
}

void blkq_init(struct xenpv_blkq *q, const struct xenpv_blk_config *config, void *memory)
{
    memset(q, 0, sizeof(*q));
    memset(memory, 0, config->operations * sizeof(struct blk_operation));
    q->parked = 1;
    q->port = config->port;
    q->abi = config->abi;
    q->poll_mode = config->poll;
    q->operations = memory;
    q->operation_count = config->operations;
    q->unused = q->waiting = q->done = (struct blk_list){BLK_NONE, BLK_NONE};
    for (uint32_t i = 0; i < q->operation_count; i++)
        append(q, &q->unused, i);
    arena_init(&q->arena, config->port, config->buffer_pages + 1,
               (uint8_t *)memory + aligned(config->operations * sizeof(struct blk_operation)));
}

int blkq_share(struct xenpv_blkq *q, uint16_t backend_id)
{
    const struct xenpv_port *port = q->port;
    int error;

    q->generation = port->sys->generation(port->ctx);
    error = arena_share(&q->arena, backend_id);
    if (error)
        return error;
    uint32_t page = arena_take(&q->arena);
    xenpv_ring_init_front(&q->ring, arena_memory(&q->arena, page), XENPV_PAGE_SIZE,
                          xenpv_blkif_slot_size(q->abi));
    error = port->event->alloc_unbound(port->ctx, backend_id, &q->event_port);
    if (error)
        return error;
    q->has_port = true;
    q->filled_slots = 0;
    q->free_slots = q->ring.count;
    for (uint32_t i = 0; i < q->free_slots; i++) {
        q->slots[i].state = SLOT_FREE;
        q->free_slot[i] = i;
    }
    if (q->poll_mode)
        xenpv_ring_disarm(&q->ring);
    return XENPV_OK;
}

void blkq_open(struct xenpv_blkq *q, const struct xenpv_blk_info *info)
{
    q->bytes = info->bytes;
    q->unit = info->sector_size;
    q->readonly = info->readonly;
    q->can_flush = info->can_flush;
    q->broken = 0;
    xenpv_store(&q->stop, BLK_RUN);
    xenpv_store_release(&q->parked, 0);
}

bool blkq_stop(struct xenpv_blkq *q, enum blk_stop how, int reason)
{
    if (xenpv_load(&q->stop) < how) {
        q->reason = how == BLK_HALT ? reason : q->reason;
        xenpv_store_release(&q->stop, how);
    }
    return xenpv_load_acquire(&q->parked) != 0;
}

int blkq_release(struct xenpv_blkq *q)
{
    const struct xenpv_port *port = q->port;
    int error = arena_end(&q->arena);

    if (error)
        return error;
    if (q->has_port)
        port->event->close(port->ctx, q->event_port);
    q->has_port = false;
    return XENPV_OK;
}

void blkq_abandon(struct xenpv_blkq *q, bool suspended)
{
    const struct xenpv_port *port = q->port;

    arena_abandon(&q->arena, suspended);
    if (!q->has_port)
        return;
    if (suspended)
        port->event->forget(port->ctx, q->event_port);
    else
        port->event->close(port->ctx, q->event_port);
    q->has_port = false;
}

/* ---- stopping -------------------------------------------------------------------------------- */

static bool parked(const struct xenpv_blkq *q)
{
    return xenpv_load_acquire(&q->parked) != 0;
}

static void end_operation(struct xenpv_blkq *q, uint32_t number)
{
    struct blk_operation *operation = &q->operations[number];

    operation->active = false;
    q->partial_writes -= operation->partial;
    append(q, &q->done, number);
}

/* Ends an operation that has nothing left to send or to wait for. */
static void end_if_complete(struct xenpv_blkq *q, uint32_t number)
{
    const struct blk_operation *operation = &q->operations[number];

    if (operation->active && !operation->waiting && operation->requests == 0)
        end_operation(q, number);
}

/*
 * Ends all operations with an error. The pages of requests that are on the ring are not given back:
 * the backend may still reach them, until access to the whole arena has ended.
 */
static void halt(struct xenpv_blkq *q, int error)
{
    for (uint32_t i = 0; i < q->ring.count; i++) {
        struct blk_slot *slot = &q->slots[i];
        if (slot->state == SLOT_FREE)
            continue;
        slot->state = SLOT_FREE;
        q->operations[slot->operation].status = error;
        q->operations[slot->operation].requests--;
        end_if_complete(q, slot->operation);
    }
    for (uint32_t i; (i = take_first(q, &q->waiting)) != BLK_NONE;) {
        q->operations[i].status = error;
        end_operation(q, i);
    }
    xenpv_store_release(&q->parked, 1);
}

static void violated(struct xenpv_blkq *q, uint32_t check, uint32_t index, uint64_t value)
{
    q->violation = (struct blk_violation){check, index, value};
    xenpv_store_release(&q->broken, 1);
    halt(q, XENPV_EBROKEN);
}

/* ---- accepting ------------------------------------------------------------------------------- */

static bool overlaps(const struct xenpv_blkq *q, uint64_t begin, uint64_t end,
                     const struct blk_operation *other)
{
    uint64_t mask = q->unit - 1;

    return (begin & ~mask) < ((other->end + mask) & ~mask) &&
           (other->offset & ~mask) < ((end + mask) & ~mask);
}

/*
 * A partial write reads sectors and writes them back: no other write may change them in between.
 * Only writes that are partial, or that meet one in progress, ever look at the others.
 */
static bool must_wait(const struct xenpv_blkq *q, uint64_t begin, uint64_t end, bool partial)
{
    if (!partial && q->partial_writes == 0)
        return false;
    for (uint32_t i = 0; i < q->operation_count; i++) {
        const struct blk_operation *other = &q->operations[i];
        bool writes = other->active && other->op == XENPV_BLKIF_WRITE;

        if (writes && (partial || other->partial) && overlaps(q, begin, end, other))
            return true;
    }
    return false;
}

static int sum(const struct xenpv_iov *iov, uint32_t count, uint64_t *bytes)
{
    *bytes = 0;
    if (count > IOV_MAX_COUNT)
        return XENPV_EINVAL;
    for (uint32_t i = 0; i < count; i++) {
        if (iov[i].length > UINT64_MAX - *bytes)
            return XENPV_EINVAL;
        *bytes += iov[i].length;
    }
    return *bytes ? XENPV_OK : XENPV_EINVAL;
}

static int accept(struct xenpv_blkq *q, const struct blk_operation *operation)
{
    uint32_t number;

    if (parked(q) || xenpv_load(&q->stop) != BLK_RUN)
        return XENPV_EPARKED;
    if (operation->op == XENPV_BLKIF_WRITE &&
        must_wait(q, operation->offset, operation->end, operation->partial))
        return XENPV_EFULL;
    number = take_first(q, &q->unused);
    if (number == BLK_NONE)
        return XENPV_EFULL;
    q->operations[number] = *operation;
    q->operations[number].active = true;
    q->operations[number].waiting = true;
    q->partial_writes += operation->partial;
    q->pending++;
    append(q, &q->waiting, number);
    return XENPV_OK;
}

static int transfer(struct xenpv_blkq *q, uint8_t op, uint64_t offset, const struct xenpv_iov *iov,
                    uint32_t count, void *user)
{
    uint64_t bytes;
    int error = sum(iov, count, &bytes);

    if (parked(q))
        return XENPV_EPARKED;
    if (error)
        return error;
    if (op == XENPV_BLKIF_WRITE && q->readonly)
        return XENPV_EROFS;
    if (offset > q->bytes || bytes > q->bytes - offset)
        return XENPV_ERANGE;
    return accept(q, &(struct blk_operation){.iov = iov,
                                             .count = count,
                                             .op = op,
                                             .partial = op == XENPV_BLKIF_WRITE &&
                                                        ((offset | bytes) & (q->unit - 1)) != 0,
                                             .user = user,
                                             .offset = offset,
                                             .end = offset + bytes,
                                             .sent = offset});
}

int xenpv_blkq_readv(struct xenpv_blkq *q, uint64_t offset, const struct xenpv_iov *iov,
                     uint32_t count, void *user)
{
    return transfer(q, XENPV_BLKIF_READ, offset, iov, count, user);
}

int xenpv_blkq_writev(struct xenpv_blkq *q, uint64_t offset, const struct xenpv_iov *iov,
                      uint32_t count, void *user)
{
    return transfer(q, XENPV_BLKIF_WRITE, offset, iov, count, user);
}

int xenpv_blkq_flush(struct xenpv_blkq *q, void *user)
{
    if (parked(q))
        return XENPV_EPARKED;
    if (!q->can_flush)
        return XENPV_ENOTSUP;
    return accept(q, &(struct blk_operation){.op = XENPV_BLKIF_FLUSH, .user = user});
}

/* ---- sending --------------------------------------------------------------------------------- */

/* Sends the next request of an operation; false: there is no room. A failed one sends no more. */
static bool advance(struct xenpv_blkq *q, uint32_t number)
{
    struct blk_operation *operation = &q->operations[number];

    if (operation->status == XENPV_OK && !blk_request_next(q, number))
        return false;
    operation->waiting = operation->status == XENPV_OK && operation->sent < operation->end;
    return true;
}

static void fill(struct xenpv_blkq *q)
{
    for (uint32_t number; (number = q->waiting.first) != BLK_NONE && advance(q, number);) {
        if (q->operations[number].waiting)
            continue;
        take_first(q, &q->waiting);
        end_if_complete(q, number);
    }
}

static void publish(struct xenpv_blkq *q)
{
    const struct xenpv_port *port = q->port;

    while (q->filled_slots)
        q->slots[q->filled[--q->filled_slots]].state = SLOT_PUBLISHED;
    if (xenpv_ring_publish(&q->ring))
        port->event->notify(port->ctx, q->event_port);
}

static void send(struct xenpv_blkq *q)
{
    fill(q);
    if (q->filled_slots)
        publish(q);
}

void xenpv_blkq_submit(struct xenpv_blkq *q)
{
    if (!parked(q) && xenpv_load(&q->stop) != BLK_HALT)
        send(q);
}

/* ---- receiving ------------------------------------------------------------------------------- */

/* Judges one response. False: the queue is broken. */
static bool receive(struct xenpv_blkq *q, const struct xenpv_blkif_response *response,
                    uint32_t index)
{
    uint64_t id = response->id;

    if (!XENPV_CHECK(RSP_ID, id < q->ring.count)) {
        violated(q, XENPV_CHECK_RSP_ID, index, id);
        return false;
    }
    const struct blk_slot *slot = &q->slots[id % BLK_SLOTS_MAX];
    if (!XENPV_CHECK(RSP_INFLIGHT, slot->state == SLOT_PUBLISHED)) {
        violated(q, XENPV_CHECK_RSP_INFLIGHT, index, id);
        return false;
    }
    if (!XENPV_CHECK(RSP_OP, response->op == slot->op)) {
        violated(q, XENPV_CHECK_RSP_OP, index, response->op);
        return false;
    }
    uint32_t operation = slot->operation;
    blk_request_end(q, (uint32_t)id, response->status);
    end_if_complete(q, operation);
    return true;
}

static void receive_all(struct xenpv_blkq *q)
{
    uint32_t available = xenpv_ring_available(&q->ring);
    uint32_t bytes = xenpv_blkif_response_size(q->abi);

    if (!XENPV_CHECK(RSP_PROD, available <= xenpv_ring_outstanding(&q->ring))) {
        violated(q, XENPV_CHECK_RSP_PROD, q->ring.cons, q->ring.cons + available);
        return;
    }
    while (available--) {
        _Alignas(8) uint8_t image[16];
        struct xenpv_blkif_response response;
        uint32_t index = q->ring.cons;

        xenpv_ring_take(&q->ring, image, bytes);
        xenpv_blkif_get_response(image, &response);
        if (!receive(q, &response, index))
            return;
    }
}

static int deliver(struct xenpv_blkq *q, struct xenpv_completion *out, uint32_t max)
{
    uint32_t count = 0;

    for (uint32_t number; count < max && (number = take_first(q, &q->done)) != BLK_NONE; count++) {
        const struct blk_operation *operation = &q->operations[number];
        out[count] = (struct xenpv_completion){operation->user, operation->status};
        append(q, &q->unused, number);
    }
    q->pending -= count;
    return (int)count;
}

int xenpv_blkq_poll(struct xenpv_blkq *q, struct xenpv_completion *out, uint32_t max)
{
    /* A `stop` of before is not believed once the queue is open again: `parked` is read first. */
    uint32_t stop = parked(q) ? BLK_RUN : xenpv_load_acquire(&q->stop);

    if (stop == BLK_HALT)
        halt(q, q->reason);
    if (!parked(q))
        receive_all(q);
    if (!parked(q))
        send(q);

    int count = deliver(q, out, max);
    if (!parked(q) && stop == BLK_DRAIN && q->pending == 0)
        xenpv_store_release(&q->parked, 1);
    return count == 0 && parked(q) && q->done.first == BLK_NONE ? XENPV_EPARKED : count;
}

/* ---- waiting --------------------------------------------------------------------------------- */

xenpv_handle xenpv_blkq_wait_handle(const struct xenpv_blkq *q)
{
    if (q->poll_mode || parked(q))
        return XENPV_NO_HANDLE;
    return q->port->event->wait_handle(q->port->ctx, q->event_port);
}

int xenpv_blkq_arm(struct xenpv_blkq *q)
{
    const struct xenpv_port *port = q->port;

    if (parked(q) || xenpv_load(&q->stop) == BLK_HALT || q->done.first != BLK_NONE)
        return 1;
    if (q->pending == 0 && xenpv_load(&q->stop) == BLK_DRAIN)
        return 1;
    if (xenpv_blkq_wait_handle(q) == XENPV_NO_HANDLE)
        return 1;
    /* No answer will come to what was never sent. */
    if (q->waiting.first != BLK_NONE && xenpv_ring_outstanding(&q->ring) == 0)
        return 1;
    /* After a suspend the number may be another device's port: its event is not ours to take. */
    if (port->sys->generation(port->ctx) != q->generation)
        return 1;
    if (port->event->take(port->ctx, q->event_port))
        port->event->unmask(port->ctx, q->event_port);
    return xenpv_ring_arm(&q->ring);
}

uint32_t xenpv_blkq_pending(const struct xenpv_blkq *q)
{
    return q->pending;
}

/* SPDX-License-Identifier: MIT */
/* The block queue: sending, receiving, waiting, stopping. */
#include "blk_device.h"
#include "blk_whole.h"
#include "blkif_words.h"
#include "check.h"

/* ---- ending ---------------------------------------------------------------------------------- */

void blkq_end_operation(struct xenpv_blkq *q, struct blk_operation *operation)
{
    operation->active = false;
    operation->stuck = 0;
    if (blk_writes(operation))
        blkq_count_blocks(q, operation, -1);
    for (struct blk_operation *follower; (follower = operation->followers) != NULL;) {
        operation->followers = follower->next;
        follower->status = operation->status;
        blk_append(&q->done, follower);
    }
    blk_append(&q->done, operation);
}

/* Ends an operation that has nothing left to send or to wait for. */
static inline void end_if_complete(struct xenpv_blkq *q, struct blk_operation *operation)
{
    if (operation->requests == 0 && !operation->waiting && operation->active)
        blkq_end_operation(q, operation);
}

/* Puts an operation where its age belongs in a list. */
static void insert(struct blk_list *list, struct blk_operation *operation)
{
    struct blk_operation **link = &list->first;

    while (*link && (int32_t)((*link)->number - operation->number) < 0)
        link = &(*link)->next;
    if (!*link)
        list->last = operation;
    operation->next = *link;
    *link = operation;
}

/*
 * Leaves the ring as it is: the pages of requests on it are not given back, for the backend may
 * still reach them until access to the whole arena has ended. What was sent waits to be sent again,
 * from its beginning, in the order of age.
 */
static void leave_ring(struct xenpv_blkq *q)
{
    for (uint32_t i = 0; i < q->ring.count; i++)
        q->slots[i].used = false;
    q->discarding = 0;
    for (uint32_t i = 0; i < q->operation_count; i++) {
        struct blk_operation *operation = &q->operations[i];
        bool sent = operation->active && !operation->waiting;

        if (!operation->active)
            continue;
        operation->requests = 0;
        operation->begun = false;
        operation->sent = operation->offset;
        operation->cursor = (struct cursor){0, 0};
        if (sent) {
            operation->waiting = true;
            insert(operation->op == XENPV_BLKIF_DISCARD ? &q->discards : &q->waiting, operation);
        }
    }
}

static void fail_list(struct xenpv_blkq *q, struct blk_list *list, int error)
{
    for (struct blk_operation *operation; (operation = blk_take_first(list)) != NULL;) {
        if (xenpv_load_acquire(&operation->stuck))
            operation->status = XENPV_EBUSY;
        else if (operation->status == XENPV_OK)
            operation->status = error;
        operation->waiting = false;
        blkq_end_operation(q, operation);
    }
}

static void acknowledge(struct xenpv_blkq *q, enum gate_state state)
{
    q->whole_now = 0;
    gate_acknowledge(&q->gate, state);
}

/* Memory of the caller's is still granted: control ends that first, and says so. */
static bool unsettled(const struct xenpv_blkq *q)
{
    return q->own && !xenpv_load_acquire(&q->settled);
}

/* Ends all operations with the error that was the first. */
static void halt(struct xenpv_blkq *q, int error)
{
    if (!q->why)
        q->why = error;
    if (gate_is(&q->gate, GATE_OPEN)) {
        leave_ring(q);
        acknowledge(q, GATE_HELD);
    }
    if (unsettled(q))
        return;
    fail_list(q, &q->waiting, q->why);
    fail_list(q, &q->discards, q->why);
    q->why = 0;
    acknowledge(q, GATE_PARKED);
}

static void violated(struct xenpv_blkq *q, uint32_t check, uint32_t index, uint64_t value)
{
    gate_violated(&q->gate, check, index, value);
    halt(q, XENPV_EBROKEN);
}

/* ---- sending --------------------------------------------------------------------------------- */

/* Judges an operation once more before its first request: the disk may be another by now. */
static int judge(const struct xenpv_blkq *q, struct blk_operation *operation)
{
    if (operation->memory == BLK_SHARED &&
        ((operation->offset | operation->end) & (q->p.unit - 1)) != 0)
        return XENPV_EINVAL;
    if (operation->op == XENPV_BLKIF_FLUSH || operation->op == XENPV_BLKIF_WRITE_BARRIER) {
        operation->op = blkq_flush_op(q);
        return operation->op ? XENPV_OK : XENPV_ENOTSUP;
    }
    if (operation->op == XENPV_BLKIF_DISCARD &&
        ((operation->offset | operation->end) & (q->p.unit - 1)) != 0)
        return XENPV_EIO; /* its whole sectors are none on the disk that has returned */
    if (operation->op == XENPV_BLKIF_DISCARD &&
        !(q->p.features & ~xenpv_load(&q->refused) &
          (operation->secure ? XENPV_BLK_SECURE_DISCARD : XENPV_BLK_DISCARD)))
        return XENPV_ENOTSUP;
    if (operation->op == XENPV_BLKIF_DISCARD && !blkq_whole_granules(q, operation)) {
        operation->sent = operation->end; /* an advice that cannot be given any more */
        if (operation->secure)
            return XENPV_EINVAL;
    }
    return blkq_check_range(q, operation->op, operation->offset,
                            operation->end - operation->offset);
}

/* False: it has to wait for an older one. */
static inline bool begin(struct xenpv_blkq *q, struct blk_operation *operation)
{
    if (blk_writes(operation) && blkq_must_wait(q, operation))
        return false;
    /* What those in flight are answered decides whether it is sent at all. */
    if (operation->op == XENPV_BLKIF_DISCARD && q->discarding == BLK_DISCARDS)
        return false;
    operation->begun = true;
    if (xenpv_load_acquire(&operation->stuck))
        operation->status = XENPV_EBUSY;
    else if (operation->status == XENPV_OK)
        operation->status = judge(q, operation);
    return true;
}

/* Sends the next request of an operation; false: it has to wait. A failed one sends no more. */
static inline bool advance(struct xenpv_blkq *q, struct blk_operation *operation)
{
    if (!operation->begun && !begin(q, operation))
        return false;
    bool nothing = operation->op == XENPV_BLKIF_DISCARD && operation->sent == operation->end;
    if (operation->status == XENPV_OK && !nothing && !blk_request_next(q, operation))
        return false;
    operation->waiting = operation->status == XENPV_OK && operation->sent < operation->end;
    return true;
}

static void fill(struct xenpv_blkq *q, struct blk_list *list)
{
    for (struct blk_operation *operation; (operation = list->first) && advance(q, operation);) {
        if (operation->waiting)
            continue;
        blk_take_first(list);
        end_if_complete(q, operation);
    }
}

static void send(struct xenpv_blkq *q)
{
    const struct xenpv_port *port = q->port;

    if (q->discards.first)
        fill(q, &q->discards);
    if (q->waiting.first)
        fill(q, &q->waiting);
    q->whole_now = q->waiting.first ? 0 : q->whole_most;
    if (xenpv_ring_publish(&q->ring))
        port->event->notify(port->ctx, q->event_port);
    /* Granted for a request that was never sent: it could only be guessed. */
    if (!XENPV_CHECK(GRANT_HELD, !q->own_held))
        violated(q, XENPV_CHECK_GRANT_HELD, q->ring.prod, 0);
}

/* Open; and where grants are made and ended on the way, still in the life they are good for. */
static bool usable(const struct xenpv_blkq *q)
{
    const struct xenpv_port *port = q->port;

    return gate_is(&q->gate, GATE_OPEN) &&
           (!q->own || port->sys->generation(port->ctx) == q->generation);
}

void xenpv_blkq_submit(struct xenpv_blkq *q)
{
    if (!usable(q))
        return;
    uint32_t stop = xenpv_load(&q->gate.stop);
    if (stop == GATE_RUN || stop == GATE_DRAIN) {
        blkq_catch_up(q);
        send(q);
    }
}

/* ---- receiving ------------------------------------------------------------------------------- */

/* The backend does not know what was sent: it is not sent again. */
static void refuse(struct xenpv_blkq *q, struct blk_operation *operation, uint8_t sent)
{
    static const uint32_t features[] = {
        [XENPV_BLKIF_WRITE_BARRIER] = XENPV_BLK_BARRIER,
        [XENPV_BLKIF_FLUSH] = XENPV_BLK_FLUSH,
        [XENPV_BLKIF_DISCARD] = XENPV_BLK_DISCARD | XENPV_BLK_SECURE_DISCARD,
        [XENPV_BLKIF_INDIRECT] = XENPV_BLK_INDIRECT,
    };

    xenpv_store(&q->refused, xenpv_load(&q->refused) | features[sent]);
    /* A barrier does for a flush. */
    if (sent != XENPV_BLKIF_FLUSH || blkq_flush_op(q) == 0)
        return;
    operation->status = XENPV_OK;
    operation->begun = false;
    operation->waiting = true;
    insert(&q->waiting, operation);
}

/* An indirect request is answered, by Linux and those who follow it, with what it does. */
static inline bool answers(const struct blk_slot *slot, uint8_t op)
{
    return op == slot->op || (slot->op == XENPV_BLKIF_INDIRECT && op == slot->operation->op);
}

/* Carries out a good response. False: the backend has kept what it must not keep. */
static bool receive(struct xenpv_blkq *q, uint32_t id, int16_t status)
{
    const struct blk_slot *slot = &q->slots[id];
    struct blk_operation *operation = slot->operation;

    if (!XENPV_CHECK(GRANT_HELD, blk_request_end(q, id, status)))
        return false;
    if (status == XENPV_BLKIF_EOPNOTSUPP)
        refuse(q, operation, slot->op);
    end_if_complete(q, operation);
    return true;
}

/* Where completions go: to the caller, while he has room. */
struct taker {
    struct xenpv_completion *out, *end;
};

static inline void hand_over(struct xenpv_blkq *q, struct taker *taker,
                             struct blk_operation *operation)
{
    *taker->out++ = (struct xenpv_completion){operation->user, operation->status};
    operation->next = q->unused;
    q->unused = operation;
    q->delivered++;
}

static void deliver(struct xenpv_blkq *q, struct taker *taker)
{
    while (taker->out < taker->end && q->done.first)
        hand_over(q, taker, blk_take_first(&q->done));
}

/*
 * It is not among those that were put on the ring and not published yet. Its index says no more:
 * of later requests, answered before it, there may have been more than the ring has slots.
 */
static inline bool published(const struct xenpv_blkq *q, const struct blk_slot *slot)
{
    return slot->index - q->ring.published >= q->ring.prod - q->ring.published;
}

/* Judges the next response and carries it out. False: the queue is broken. */
ALWAYS_INLINE bool receive_next(struct xenpv_blkq *q, struct taker *taker)
{
    uint32_t index = q->ring.cons;
    struct xenpv_blkif_response response;

    blkif_get_response(xenpv_ring_next_in(&q->ring), &response);
    if (!XENPV_CHECK(RSP_ID, response.id < q->ring.count)) {
        violated(q, XENPV_CHECK_RSP_ID, index, response.id);
        return false;
    }
    struct blk_slot *slot = &q->slots[response.id & (q->ring.count - 1)];
    if (!XENPV_CHECK(RSP_INFLIGHT, slot->used && published(q, slot))) {
        violated(q, XENPV_CHECK_RSP_INFLIGHT, index, response.id);
        return false;
    }
    if (!XENPV_CHECK(RSP_OP, answers(slot, response.op))) {
        violated(q, XENPV_CHECK_RSP_OP, index, response.op);
        return false;
    }
    if (slot->whole && response.status == XENPV_BLKIF_OKAY) {
        struct blk_operation *operation = blk_whole_end(q, slot);

        if (taker->out < taker->end)
            hand_over(q, taker, operation);
        else
            blk_append(&q->done, operation);
    } else if (!receive(q, slot->id, response.status)) {
        violated(q, XENPV_CHECK_GRANT_HELD, index, response.id);
        return false;
    }
    return true;
}

static void receive_all(struct xenpv_blkq *q, struct taker *taker)
{
    uint32_t available = xenpv_ring_available(&q->ring);

    if (!XENPV_CHECK(RSP_PROD, available <= xenpv_ring_outstanding(&q->ring))) {
        violated(q, XENPV_CHECK_RSP_PROD, q->ring.cons, q->ring.cons + available);
        return;
    }
    while (available-- && receive_next(q, taker))
        ;
}

/* What control asks for, where it is not simply to run. */
static void obey(struct xenpv_blkq *q, enum gate_state state, uint32_t stop)
{
    if (q->why)
        halt(q, q->why);
    else if (stop == GATE_HALT)
        halt(q, q->gate.reason);
    else if (stop == GATE_HOLD && state == GATE_OPEN) {
        leave_ring(q);
        acknowledge(q, GATE_HELD);
    }
}

int xenpv_blkq_poll(struct xenpv_blkq *q, struct xenpv_completion *out, uint32_t max)
{
    /* A `stop` of before is not believed once the queue is open again: `parked` is read first. */
    enum gate_state state = (enum gate_state)xenpv_load_acquire(&q->gate.parked);
    uint32_t stop = state == GATE_PARKED ? GATE_RUN : xenpv_load_acquire(&q->gate.stop);
    struct taker taker = {.out = out, .end = out + max};

    if (state != GATE_PARKED && (stop != GATE_RUN || q->why))
        obey(q, state, stop);
    deliver(q, &taker);
    if (usable(q)) {
        blkq_catch_up(q);
        receive_all(q, &taker);
        if (gate_is(&q->gate, GATE_OPEN))
            send(q);
        deliver(q, &taker);
    }
    if (taker.out != out)
        return (int)(taker.out - out);
    if (stop == GATE_DRAIN && xenpv_blkq_pending(q) == 0 && gate_is(&q->gate, GATE_OPEN))
        acknowledge(q, GATE_PARKED);
    return gate_is(&q->gate, GATE_PARKED) && !q->done.first ? XENPV_EPARKED : 0;
}

/* ---- waiting --------------------------------------------------------------------------------- */

xenpv_handle xenpv_blkq_wait_handle(const struct xenpv_blkq *q)
{
    if (q->poll_mode || !gate_is(&q->gate, GATE_OPEN))
        return XENPV_NO_HANDLE;
    return q->port->event->wait_handle(q->port->ctx, q->event_port);
}

int xenpv_blkq_arm(struct xenpv_blkq *q)
{
    const struct xenpv_port *port = q->port;
    uint32_t stop = xenpv_load(&q->gate.stop);

    if (q->done.first)
        return 1;
    if (gate_is(&q->gate, GATE_HELD))
        return (stop == GATE_HALT || q->why) && !unsettled(q);
    if (gate_is(&q->gate, GATE_PARKED) || stop == GATE_HALT || stop == GATE_HOLD)
        return 1;
    if (xenpv_blkq_pending(q) == 0 && stop == GATE_DRAIN)
        return 1;
    if (xenpv_blkq_wait_handle(q) == XENPV_NO_HANDLE)
        return 1;
    if (q->ring.prod != q->ring.published)
        return 1;
    /* No answer will come to what was never sent. */
    if ((q->waiting.first || q->discards.first) && xenpv_ring_outstanding(&q->ring) == 0)
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
    return q->accepted - q->delivered;
}

bool xenpv_blkq_held(const struct xenpv_blkq *q)
{
    return gate_is(&q->gate, GATE_HELD);
}

/* SPDX-License-Identifier: MIT */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <xenpv/linux.h>

#include "hammer_queue.h"

void hammer_wake(int fd)
{
    uint64_t one = 1;

    if (write(fd, &one, sizeof(one)) != sizeof(one))
        abort();
}

void hammer_slept(int fd)
{
    uint64_t count;

    /* It is not blocking: there may be nothing to forget. */
    if (read(fd, &count, sizeof(count)) < 0)
        return;
}

static uint32_t random_below(struct hammer_queue *queue, uint32_t limit)
{
    queue->random ^= queue->random << 13;
    queue->random ^= queue->random >> 7;
    queue->random ^= queue->random << 17;
    return (uint32_t)((queue->random >> 20) % limit);
}

/* ----------------------------------------------------------------------------------- issuing -- */

static uint32_t run_max(const struct hammer_queue *queue)
{
    return HAMMER_RUN_BYTES / queue->model.bytes;
}

/* Short runs mostly, for they meet others at odd places; some as long as can be, to be split. */
static uint32_t random_run(struct hammer_queue *queue)
{
    return 1 + random_below(queue, random_below(queue, 16) ? 24 : run_max(queue));
}

static bool is_write(const struct hammer_op *op)
{
    return op->kind == OP_WRITE || op->kind == OP_DISCARD;
}

/* Takes an operation that ended, or was never accepted, out of the model. */
static void settle(struct hammer_queue *queue, struct hammer_op *op, bool good)
{
    if (is_write(op)) {
        hammer_model_wrote(&queue->model, op->at, op->count, op->buffer, good);
    } else if (op->kind == OP_READ) {
        hammer_model_was_read(&queue->model, op->at, op->count, op->buffer, good);
    } else {
        hammer_model_was_flushed(&queue->model, good);
        queue->flushing = false;
    }
    op->kind = OP_FREE;
}

/* What the disk turned out not to be able to do is not tried again. */
static void unlearn(struct hammer_queue *queue, const struct hammer_op *op, int status)
{
    if (status == XENPV_ENOTSUP && op->kind == OP_FLUSH)
        queue->flush = false;
    if (status == XENPV_ENOTSUP && op->kind == OP_DISCARD)
        queue->discard = false;
}

static int send(struct hammer_queue *queue, struct hammer_op *op)
{
    const struct hammer_model *model = &queue->model;
    uint64_t offset = (model->first + op->at) * model->bytes;
    uint64_t bytes = (uint64_t)op->count * model->bytes;

    op->iov = (struct xenpv_iov){op->buffer, bytes};
    switch (op->kind) {
    case OP_READ:
        return xenpv_blkq_readv(queue->q, offset, &op->iov, 1, op);
    case OP_WRITE:
        return xenpv_blkq_writev(queue->q, offset, &op->iov, 1, op);
    case OP_DISCARD:
        return xenpv_blkq_discard(queue->q, offset, bytes, 0, op);
    default:
        return xenpv_blkq_flush(queue->q, op);
    }
}

/* False: nothing of the kind can be done now. */
static bool issue(struct hammer_queue *queue, struct hammer_op *op, enum hammer_kind kind,
                  uint32_t at, uint32_t count)
{
    bool write = kind == OP_WRITE || kind == OP_DISCARD;
    int rc;

    if (kind != OP_FLUSH) {
        count = hammer_model_free(&queue->model, write, at, count);
        if (!count)
            return false;
    }
    *op = (struct hammer_op){kind, at, count, xenpv_linux_now(), op->buffer, {NULL, 0}};
    if (write)
        hammer_model_write(&queue->model, at, count, op->buffer, kind == OP_DISCARD);
    else if (kind == OP_READ)
        hammer_model_read(&queue->model, at, count);
    else
        hammer_model_flush(&queue->model);
    if ((rc = send(queue, op))) {
        unlearn(queue, op, rc);
        settle(queue, op, false);
        return false;
    }
    queue->flushing = queue->flushing || kind == OP_FLUSH;
    queue->under_way++;
    return true;
}

static bool issue_random(struct hammer_queue *queue, struct hammer_op *op)
{
    uint32_t at = random_below(queue, queue->model.count), chance = random_below(queue, 100);

    if (chance < 4 && queue->flush && !queue->flushing)
        return issue(queue, op, OP_FLUSH, 0, 0);
    if (chance < 10 && queue->discard)
        return issue(queue, op, OP_DISCARD, at, random_run(queue));
    return issue(queue, op, chance < 40 ? OP_READ : OP_WRITE, at, random_run(queue));
}

/* Goes over all blocks once. */
static bool issue_next(struct hammer_queue *queue, struct hammer_op *op, enum hammer_kind kind)
{
    uint32_t count = run_max(queue);

    if (!issue(queue, op, kind, queue->cursor, count))
        return false;
    queue->cursor += op->count;
    return true;
}

static bool issue_one(struct hammer_queue *queue, struct hammer_op *op)
{
    switch (queue->phase) {
    case PHASE_FILL:
        return issue_next(queue, op, OP_WRITE);
    case PHASE_LOAD:
        return issue_random(queue, op);
    case PHASE_LOOK:
        return issue_next(queue, op, OP_READ);
    case PHASE_REST: /* what was filled is on the disk before anything is disturbed */
        return queue->flush && queue->cursor++ == 0 && issue(queue, op, OP_FLUSH, 0, 0);
    default:
        return false;
    }
}

static void enter(struct hammer_queue *queue, enum hammer_phase phase)
{
    queue->phase = phase;
    queue->cursor = 0;
}

static void answer(struct hammer_queue *queue)
{
    __atomic_store_n(&queue->looked, queue->looking_for, __ATOMIC_RELEASE);
    hammer_wake(queue->wake_control);
    enter(queue, PHASE_LOAD);
}

/* From one phase to the next, where nothing is under way and all is done. */
static void advance(struct hammer_queue *queue)
{
    bool over = queue->cursor == queue->model.count;

    if (queue->phase == PHASE_LOAD) {
        queue->looking_for = __atomic_load_n(&queue->look, __ATOMIC_ACQUIRE);
        if (queue->looking_for != queue->looked)
            enter(queue, PHASE_DRAIN);
    }
    if (queue->under_way)
        return;
    if (queue->phase == PHASE_FILL && over)
        enter(queue, PHASE_REST);
    else if (queue->phase == PHASE_DRAIN ||
             (queue->phase == PHASE_REST && (queue->cursor || !queue->flush)))
        enter(queue, PHASE_LOOK);
    else if (queue->phase == PHASE_LOOK && over)
        answer(queue);
}

static void issue_all(struct hammer_queue *queue)
{
    advance(queue);
    for (int i = 0; i < HAMMER_DEPTH; i++)
        if (queue->ops[i].kind == OP_FREE && !issue_one(queue, &queue->ops[i]))
            break;
    xenpv_blkq_submit(queue->q);
}

/* ------------------------------------------------------------------------------------ ending -- */

static void count(struct hammer_counts *counts, const struct hammer_op *op, bool good,
                  uint32_t block_bytes)
{
    uint64_t took = xenpv_linux_now() - op->began;
    uint64_t *of_kind[] = {[OP_READ] = &counts->reads,
                           [OP_WRITE] = &counts->writes,
                           [OP_DISCARD] = &counts->discards,
                           [OP_FLUSH] = &counts->flushes};

    if (took > counts->longest_ms)
        counts->longest_ms = took;
    if (!good) {
        counts->failed++;
        return;
    }
    ++*of_kind[op->kind];
    if (op->kind == OP_READ || op->kind == OP_WRITE)
        counts->bytes += (uint64_t)op->count * block_bytes;
}

static void take(struct hammer_queue *queue, const struct xenpv_completion *ended)
{
    struct hammer_op *op = ended->user;
    bool good = ended->status == XENPV_OK;

    unlearn(queue, op, ended->status);
    count(&queue->counts, op, good, queue->model.bytes);
    settle(queue, op, good);
    queue->under_way--;
}

static void wait(struct hammer_queue *queue)
{
    struct pollfd fds[] = {{queue->wake, POLLIN, 0}, {-1, POLLIN, 0}};

    if (queue->under_way == 0)
        return;
    if (xenpv_blkq_held(queue->q))
        hammer_wake(queue->wake_control);
    else if (xenpv_blkq_arm(queue->q))
        return;
    else
        fds[1].fd = (int)xenpv_blkq_wait_handle(queue->q);
    poll(fds, 2, -1);
    hammer_slept(queue->wake);
}

static void *run(void *argument)
{
    struct hammer_queue *queue = argument;
    struct xenpv_completion ended[HAMMER_DEPTH];
    int got = 0;

    while (got != XENPV_EPARKED) {
        issue_all(queue);
        got = xenpv_blkq_poll(queue->q, ended, HAMMER_DEPTH);
        for (int i = 0; i < got; i++)
            take(queue, &ended[i]);
        if (xenpv_blkq_held(queue->q))
            hammer_model_lost_cache(&queue->model);
        if (got == 0)
            wait(queue);
    }
    __atomic_store_n(&queue->parked, 1, __ATOMIC_RELEASE);
    hammer_wake(queue->wake_control);
    return NULL;
}

bool hammer_queue_start(struct hammer_queue *queue)
{
    queue->look = 1;
    queue->looking_for = 1;
    for (int i = 0; i < HAMMER_DEPTH; i++) {
        queue->ops[i].buffer = malloc(HAMMER_RUN_BYTES);
        if (!queue->ops[i].buffer)
            return false;
    }
    return hammer_model_init(&queue->model) &&
           pthread_create(&queue->thread, NULL, run, queue) == 0;
}

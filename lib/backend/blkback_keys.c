/* SPDX-License-Identifier: MIT */
/* The store's side of a block backend: blkif.h, "Backend XenBus Nodes", "Frontend XenBus Nodes". */
#include "backend/blkback.h"
#include "core/check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- what is published ----------------------------------------------------------------------- */

/* Everything this backend may ever write. */
static const char *const published[] = {"max-ring-page-order",
                                        "max-ring-pages",
                                        "multi-queue-max-queues",
                                        "feature-max-indirect-segments",
                                        "sectors",
                                        "sector-size",
                                        "physical-sector-size",
                                        "info",
                                        "feature-flush-cache",
                                        "feature-barrier",
                                        "feature-discard",
                                        "discard-granularity",
                                        "discard-alignment",
                                        "discard-secure",
                                        "feature-persistent"};
XENPV_STATIC_ASSERT(COUNT(published) + 4 <= BLKBACK_ROOM,
                    "all is removed and the offer put in one batch");
XENPV_STATIC_ASSERT(BLKBACK_ASKED <= BLKBACK_ROOM, "a queue is asked for at once");

struct property {
    const char *name;
    uint64_t number;
    bool wanted;
};

static int put_all(struct xenpv_blkback *back, const struct property *properties, size_t count)
{
    int error = XENPV_OK;

    for (size_t i = 0; i < count && !error; i++) {
        if (properties[i].wanted)
            error = xenpv_bus_put_number(&back->bus, properties[i].name, properties[i].number);
    }
    return error;
}

void blkback_clean(void *owner)
{
    struct xenpv_blkback *back = owner;

    for (size_t i = 0; i < COUNT(published); i++)
        xenpv_bus_remove(&back->bus, published[i]);
}

/* What the frontend must know before it shares anything: as Linux blkback, at state 2. */
int blkback_put_offer(struct xenpv_blkback *back)
{
    const struct xenpv_blkback_config *config = &back->config;
    const struct property offer[] = {
        {"max-ring-page-order", config->ring_order, config->ring_order > 0},
        {"max-ring-pages", UINT64_C(1) << config->ring_order, config->ring_order > 0},
        {"multi-queue-max-queues", config->queues, config->queues > 1},
        {"feature-max-indirect-segments", config->segments, config->segments > 0},
    };

    return put_all(back, offer, COUNT(offer));
}

uint64_t blkback_sectors(const struct xenpv_blkback *back)
{
    uint64_t whole = back->disk->bytes & ~(uint64_t)(back->units.sector_size - 1);

    return whole >> back->units.sectors;
}

static uint64_t info(const struct xenpv_blkback *back)
{
    const struct xenpv_disk *disk = back->disk;

    return (disk->cdrom ? XENPV_VDISK_CDROM : 0) | (disk->removable ? XENPV_VDISK_REMOVABLE : 0) |
           (back->readonly ? XENPV_VDISK_READONLY : 0);
}

static uint32_t or_else(uint32_t number, uint32_t otherwise)
{
    return number ? number : otherwise;
}

int blkback_put_properties(struct xenpv_blkback *back)
{
    const struct xenpv_disk *disk = back->disk;
    bool discard = disk->discard && back->discard;
    const struct property properties[] = {
        {"sectors", blkback_sectors(back), true},
        {"sector-size", disk->sector_size, true},
        {"physical-sector-size", or_else(disk->physical_sector_size, disk->sector_size), true},
        {"info", info(back), true},
        {"feature-flush-cache", disk->flush != NULL, true},
        {"feature-barrier", disk->barrier, true},
        {"feature-discard", discard, true},
        {"discard-granularity", or_else(disk->discard_granularity, disk->sector_size), discard},
        {"discard-alignment", disk->discard_alignment, discard},
        {"discard-secure", disk->discard_secure, discard},
        {"feature-persistent", 1, back->config.persistent > 0},
    };

    return put_all(back, properties, COUNT(properties));
}

/* ---- what the toolstack and the frontend say ------------------------------------------------- */

enum { OWN_DISCARD, OWN_MODE };
const struct xenpv_key blkback_own_keys[BLKBACK_OWN] = {
    [OWN_DISCARD] = {"discard-enable", XENPV_KEY_NUMBER, false, 1, 0, UINT32_MAX},
    [OWN_MODE] = {"mode", XENPV_KEY_TEXT, false, 0, 0, 0},
};

static bool contains(const char *text, char letter)
{
    while (*text && *text != letter)
        text++;
    return *text != '\0';
}

void blkback_take_own(struct xenpv_blkback *back)
{
    const struct xenpv_key_value *mode = xenpv_bus_value(&back->bus, XENPV_ASK_OWN, OWN_MODE);

    back->discard = xenpv_bus_value(&back->bus, XENPV_ASK_OWN, OWN_DISCARD)->number != 0;
    /* As Linux blkback, to which whatever has no w in it is read-only: "r", and "r!" of old. */
    back->readonly =
        back->disk->readonly || (mode->status != XENPV_KEY_ABSENT && !contains(mode->text, 'w'));
}

enum { ANSWER_PROTOCOL, ANSWER_ORDER, ANSWER_PAGES, ANSWER_QUEUES, ANSWER_PERSISTENT };
const struct xenpv_key blkback_answer_keys[BLKBACK_ANSWERS] = {
    [ANSWER_PROTOCOL] = {"protocol", XENPV_KEY_TEXT, false, 0, 0, 0},
    [ANSWER_ORDER] = {"ring-page-order", XENPV_KEY_NUMBER, false, 0, 0, UINT32_MAX},
    [ANSWER_PAGES] = {"num-ring-pages", XENPV_KEY_NUMBER, false, 1, 0, UINT32_MAX},
    [ANSWER_QUEUES] = {"multi-queue-num-queues", XENPV_KEY_NUMBER, false, 1, 0, UINT32_MAX},
    [ANSWER_PERSISTENT] = {"feature-persistent", XENPV_KEY_NUMBER, false, 0, 0, UINT32_MAX},
};

static const struct xenpv_key ref_key = {"ring-ref", XENPV_KEY_NUMBER, true, 0, 0, UINT32_MAX};
static const struct xenpv_key either_key = {"ring-ref", XENPV_KEY_NUMBER, false, 0, 0, UINT32_MAX};
static const struct xenpv_key port_key = {"event-channel", XENPV_KEY_NUMBER, true, 0, 1,
                                          UINT32_MAX};

static const struct xenpv_key_value *answer(const struct xenpv_blkback *back, uint32_t key)
{
    return xenpv_bus_value(&back->bus, XENPV_ASK_ANSWER, key);
}

/* A NUMBER that stands there and is none must not be taken for one that is absent. */
static bool readable(const struct xenpv_key_value *value)
{
    return value->status == XENPV_KEY_GOOD || value->status == XENPV_KEY_ABSENT;
}

static char *append(char *at, const char *text)
{
    while (*text)
        *at++ = *text++;
    *at = '\0';
    return at;
}

static char *append_number(char *at, uint64_t number)
{
    return at + xenpv_format_number(number, at);
}

static int fail(struct xenpv_blkback *back, const struct xenpv_detail *detail)
{
    xenpv_bus_fail(&back->bus, detail);
    return detail->error;
}

static int refuse(struct xenpv_blkback *back, uint32_t key, uint32_t check, const char *expected)
{
    struct xenpv_detail detail = {.error = XENPV_EBROKEN,
                                  .check = check,
                                  .step = "reading the frontend's keys",
                                  .expected = expected ? expected : xenpv_check_text(check)};

    append(detail.key, blkback_answer_keys[key].name);
    append(detail.found, answer(back, key)->text);
    return fail(back, &detail);
}

/* A missing `protocol` means the frontend's native layout, which we take to be ours. */
static enum xenpv_abi asked_abi(const struct xenpv_blkback *back)
{
    if (answer(back, ANSWER_PROTOCOL)->status == XENPV_KEY_ABSENT)
        return XENPV_ABI_NATIVE;
    return xenpv_abi_from_name(answer(back, ANSWER_PROTOCOL)->text);
}

/*
 * The size of the rings. With ring-page-order their pages are ring-ref0 and so on; num-ring-pages,
 * its predecessor, means the same by itself but where it is 1. What a ring-page-order of 0 means is
 * disputed: Linux blkback and QEMU take ring-ref0, blkif.h (note 6), FreeBSD's blkback and tapdisk
 * take ring-ref.
 */
static int judge_ring(struct xenpv_blkback *back)
{
    const struct xenpv_key_value *order = answer(back, ANSWER_ORDER);
    const struct xenpv_key_value *pages = answer(back, ANSWER_PAGES);
    uint32_t most = back->config.ring_order;
    uint64_t number = pages->number;

    if (order->status != XENPV_KEY_ABSENT) {
        if (!readable(order) || !XENPV_CHECK(REQ_RING, order->number <= most))
            return refuse(back, ANSWER_ORDER, XENPV_CHECK_REQ_RING, NULL);
        back->numbered = true;
        back->disputed = order->number == 0;
        back->ring_pages = 1u << (order->number & 31);
        return XENPV_OK;
    }
    if (!readable(pages) ||
        !XENPV_CHECK(REQ_RING, number >= 1 && number <= 1u << most && (number & (number - 1)) == 0))
        return refuse(back, ANSWER_PAGES, XENPV_CHECK_REQ_RING, NULL);
    back->numbered = number > 1;
    back->disputed = false;
    back->ring_pages = (uint32_t)number;
    return XENPV_OK;
}

static int judge_answer(struct xenpv_blkback *back)
{
    const struct xenpv_key_value *queues = answer(back, ANSWER_QUEUES);

    back->abi = asked_abi(back);
    if (back->abi == XENPV_ABI_COUNT)
        return refuse(back, ANSWER_PROTOCOL, XENPV_CHECK_NONE, "x86_64-abi, x86_32-abi or arm-abi");
    if (!readable(queues) ||
        !XENPV_CHECK(REQ_QUEUES, queues->number >= 1 && queues->number <= back->config.queues))
        return refuse(back, ANSWER_QUEUES, XENPV_CHECK_REQ_QUEUES, NULL);
    back->asked_queues = (uint32_t)queues->number;
    back->persistent = back->config.persistent && answer(back, ANSWER_PERSISTENT)->number == 1;
    return judge_ring(back);
}

/* ---- each queue's keys ----------------------------------------------------------------------- */

/* "event-channel", or "queue-3/event-channel" where there are several queues. */
static char *append_name(const struct xenpv_blkback *back, char *at, uint32_t queue,
                         const char *name)
{
    if (back->asked_queues > 1) {
        at = append(at, "queue-");
        at = append_number(at, queue);
        at = append(at, "/");
    }
    return append(at, name);
}

int blkback_refuse_queue(struct xenpv_blkback *back, uint32_t queue, const char *name, int error,
                         uint32_t found, const char *step, const char *expected)
{
    struct xenpv_detail detail = {
        .error = error, .queue = queue, .step = step, .expected = expected};

    append_name(back, detail.key, queue, name);
    append_number(detail.found, found);
    return fail(back, &detail);
}

static int ask_queue(struct xenpv_blkback *back, uint32_t queue)
{
    struct xenpv_key_value *value = back->asked;
    char name[24], *end;
    int error;

    append_name(back, name, queue, "event-channel");
    error = xenpv_bus_ask(&back->bus, name, &port_key, value++);
    end = append_name(back, name, queue, "ring-ref");
    for (uint32_t i = 0; i < back->ring_pages && !error; i++) {
        if (back->numbered)
            append_number(end, i);
        error = xenpv_bus_ask(&back->bus, name, back->disputed ? &either_key : &ref_key, value++);
    }
    if (!back->disputed || error)
        return error;
    *end = '\0';
    return xenpv_bus_ask(&back->bus, name, &either_key, value);
}

/* Which of ring-ref0 and ring-ref names the only page, where both may: the first that is there. */
static int settle(struct xenpv_blkback *back, uint32_t queue)
{
    struct xenpv_key_value *numbered = &back->asked[1], *plain = &back->asked[2];
    bool alone = numbered->status == XENPV_KEY_ABSENT && plain->status != XENPV_KEY_ABSENT;
    const struct xenpv_key_value *value = alone ? plain : numbered;
    bool absent = value->status == XENPV_KEY_ABSENT;
    struct xenpv_detail detail = {.error = absent ? XENPV_EPEER : XENPV_EBROKEN,
                                  .queue = queue,
                                  .step = "reading the frontend's keys",
                                  .expected = "a number in range"};

    back->queue[queue].numbered = !alone;
    if (value->status == XENPV_KEY_GOOD) {
        numbered->number = value->number;
        return XENPV_OK;
    }
    append_name(back, detail.key, queue, alone ? "ring-ref" : "ring-ref0");
    append(detail.found, absent ? "nothing" : value->text);
    return fail(back, &detail);
}

static int take_queue(struct xenpv_blkback *back, uint32_t queue)
{
    struct blkback_queue *q = &back->queue[queue];
    int error = XENPV_OK;

    q->numbered = back->numbered;
    if (back->disputed)
        error = settle(back, queue);
    q->peer_port = (uint32_t)back->asked[0].number;
    for (uint32_t i = 0; i < back->ring_pages; i++)
        q->ring_pages[i].ref = (uint32_t)back->asked[1 + i].number;
    return error;
}

/* One queue a round, so that the room of a batch is that of one queue's keys. */
int blkback_more(void *owner, uint32_t round)
{
    struct xenpv_blkback *back = owner;
    int error = round == 0 ? judge_answer(back) : XENPV_OK;

    if (!error && round > 0)
        error = take_queue(back, round - 1);
    if (error)
        return error;
    return round < back->asked_queues ? ask_queue(back, round) : XENPV_OK;
}

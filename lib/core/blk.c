/* SPDX-License-Identifier: MIT */
/* The block frontend's control side: what it asks of the backend, and what it answers. */
#include "blk_device.h"
#include "bus_jobs.h"
#include "check.h"

#define LARGEST_SECTOR   32768u
#define LARGEST_PHYSICAL (1u << 30)
#define LARGEST_DISK     (UINT64_C(1) << 63)

/* ---- keys: blkif.h, "Backend XenBus Nodes" and "Frontend XenBus Nodes" ----------------------- */

#define NUMBER(name, fallback, min, max)                                                           \
    {                                                                                              \
        name, XENPV_KEY_NUMBER, false, fallback, min, max                                          \
    }
#define FLAG(name) NUMBER(name, 0, 0, 1)

enum {
    OWN_DEVICE_TYPE,
    OWN_NOTHING = OWN_DEVICE_TYPE, /* in `features`: the frontend writes no key for this one */
    OWN_RING_ORDER,
    OWN_RING_PAGES,
    OWN_QUEUES,
    OWN_PERSISTENT,
    OWN_COUNT
};
static const struct xenpv_key own_keys[] = {
    [OWN_DEVICE_TYPE] = {"device-type", XENPV_KEY_TEXT, false, 0, 0, 0},
    [OWN_RING_ORDER] = NUMBER("ring-page-order", 0, 0, UINT32_MAX),
    [OWN_RING_PAGES] = NUMBER("num-ring-pages", 1, 0, UINT32_MAX),
    [OWN_QUEUES] = NUMBER("multi-queue-num-queues", 1, 0, UINT32_MAX),
    [OWN_PERSISTENT] = FLAG("feature-persistent"),
};

/* Published before the backend's state 2. */
enum { OFFER_RING_ORDER, OFFER_RING_PAGES, OFFER_QUEUES, OFFER_INDIRECT, OFFER_COUNT };
static const struct xenpv_key offer_keys[] = {
    [OFFER_RING_ORDER] = NUMBER("max-ring-page-order", 0, 0, 20),
    [OFFER_RING_PAGES] = NUMBER("max-ring-pages", 1, 1, 1u << 20),
    [OFFER_QUEUES] = NUMBER("multi-queue-max-queues", 1, 1, UINT32_MAX),
    [OFFER_INDIRECT] = NUMBER("feature-max-indirect-segments", 0, 0, UINT32_MAX),
};

/* Published before the backend's state 4; Linux blkback writes the features only then. */
enum {
    ANSWER_SECTORS,
    ANSWER_SECTOR_SIZE,
    ANSWER_PHYSICAL,
    ANSWER_INFO,
    ANSWER_FLUSH,
    ANSWER_BARRIER,
    ANSWER_DISCARD,
    ANSWER_PERSISTENT,
    ANSWER_DISCARD_GRANULARITY,
    ANSWER_DISCARD_ALIGNMENT,
    ANSWER_DISCARD_SECURE,
    ANSWER_COUNT
};
static const struct xenpv_key answer_keys[] = {
    [ANSWER_SECTORS] = {"sectors", XENPV_KEY_NUMBER, true, 0, 0, UINT64_MAX},
    [ANSWER_SECTOR_SIZE] = NUMBER("sector-size", 512, 0, UINT64_MAX),
    [ANSWER_PHYSICAL] = NUMBER("physical-sector-size", 0, 0, UINT64_MAX),
    [ANSWER_INFO] = NUMBER("info", 0, 0, UINT32_MAX),
    [ANSWER_FLUSH] = FLAG("feature-flush-cache"),
    [ANSWER_BARRIER] = FLAG("feature-barrier"),
    [ANSWER_DISCARD] = FLAG("feature-discard"),
    [ANSWER_PERSISTENT] = FLAG("feature-persistent"),
    [ANSWER_DISCARD_GRANULARITY] = NUMBER("discard-granularity", 0, 0, UINT32_MAX),
    [ANSWER_DISCARD_ALIGNMENT] = NUMBER("discard-alignment", 0, 0, UINT32_MAX),
    [ANSWER_DISCARD_SECURE] = FLAG("discard-secure"),
};

static const char *const written_keys[] = {"ring-ref", "event-channel", "protocol", NULL};

/* With these a backend would look for queue-N/ and ring-refN, or expect writable grants to stay. */
static const char *const foreign_keys[] = {"multi-queue-num-queues", "ring-page-order",
                                           "num-ring-pages", "feature-persistent", NULL};

struct xenpv_blk {
    struct xenpv_bus bus;
    struct xenpv_blk_info info;
    struct xenpv_key_value own[OWN_COUNT], offer[OFFER_COUNT], answer[ANSWER_COUNT];
    struct xenpv_blkq queue;
    bool opened; /* the queue was handed to its thread */
};

/* ---- judging the disk ------------------------------------------------------------------------ */

static const struct xenpv_key_value *answer(const struct xenpv_blk *blk, uint32_t key)
{
    return xenpv_bus_value(&blk->bus, XENPV_ASK_ANSWER, key);
}

static bool power_of_two(uint64_t n)
{
    return n && (n & (n - 1)) == 0;
}

/* The check that the properties fail, or XENPV_CHECK_NONE; `key` is the one concerned. */
static uint32_t judge(const struct xenpv_blk *blk, uint32_t *key)
{
    uint64_t sectors = answer(blk, ANSWER_SECTORS)->number;
    uint64_t size = answer(blk, ANSWER_SECTOR_SIZE)->number;
    uint64_t physical = answer(blk, ANSWER_PHYSICAL)->number;
    bool readable = answer(blk, ANSWER_SECTOR_SIZE)->status != XENPV_KEY_JUNK;
    bool has_physical = answer(blk, ANSWER_PHYSICAL)->status == XENPV_KEY_GOOD;

    *key = ANSWER_SECTOR_SIZE;
    if (!XENPV_CHECK(SECTOR_SIZE, readable && power_of_two(size) && size >= XENPV_BLKIF_SECTOR &&
                                      size <= LARGEST_SECTOR))
        return XENPV_CHECK_SECTOR_SIZE;
    *key = ANSWER_SECTORS;
    if (!XENPV_CHECK(SECTORS, sectors <= LARGEST_DISK / XENPV_BLKIF_SECTOR))
        return XENPV_CHECK_SECTORS;
    *key = ANSWER_PHYSICAL;
    if (!XENPV_CHECK(PHYS_SECTOR, !has_physical || (power_of_two(physical) && physical >= size &&
                                                    physical <= LARGEST_PHYSICAL)))
        return XENPV_CHECK_PHYS_SECTOR;
    return XENPV_CHECK_NONE;
}

/* Takes what was published, as far as it makes sense. */
static void take_info(const struct xenpv_blk *blk, struct xenpv_blk_info *info)
{
    uint64_t size = answer(blk, ANSWER_SECTOR_SIZE)->number;
    uint64_t physical = answer(blk, ANSWER_PHYSICAL)->number;
    uint64_t flags = answer(blk, ANSWER_INFO)->number;
    uint64_t sectors = answer(blk, ANSWER_SECTORS)->number;

    info->sector_size = (uint32_t)size;
    info->physical_sector_size = (uint32_t)(physical ? physical : size);
    info->bytes = sectors <= LARGEST_DISK / XENPV_BLKIF_SECTOR ? sectors * XENPV_BLKIF_SECTOR : 0;
    if (power_of_two(size))
        info->bytes &= ~(size - 1);
    info->cdrom = (flags & XENPV_VDISK_CDROM) != 0;
    info->removable = (flags & XENPV_VDISK_REMOVABLE) != 0;
    info->readonly = (flags & XENPV_VDISK_READONLY) != 0;
    info->can_flush = answer(blk, ANSWER_FLUSH)->number != 0;
}

/* Fails the device if the properties make no sense. */
static int judge_properties(struct xenpv_blk *blk)
{
    uint32_t key, check = judge(blk, &key);
    struct xenpv_detail detail = {.error = XENPV_EBROKEN,
                                  .check = check,
                                  .step = "reading the disk's properties",
                                  .expected = xenpv_check_text(check)};

    if (check == XENPV_CHECK_NONE)
        return XENPV_OK;
    bus_describe_key(&detail, blk->bus.peer_path, answer_keys[key].name);
    memcpy(detail.found, answer(blk, key)->text, XENPV_KEY_TEXT_MAX);
    xenpv_bus_fail(&blk->bus, &detail);
    return XENPV_EBROKEN;
}

/* ---- what the bus calls ---------------------------------------------------------------------- */

static int on_publish(void *owner)
{
    struct xenpv_blk *blk = owner;
    struct xenpv_blkq *q = &blk->queue;
    int error = blkq_share(q, blk->bus.peer_domid);

    blk->opened = false;
    if (error)
        return error;
    error = xenpv_bus_put_number(&blk->bus, "ring-ref", arena_ref(&q->arena, 0));
    if (error == XENPV_OK)
        error = xenpv_bus_put_number(&blk->bus, "event-channel", q->event_port);
    if (error == XENPV_OK)
        error = xenpv_bus_put_text(&blk->bus, "protocol", xenpv_abi_name(q->abi));
    return error;
}

/* The answer has been read: at the first time, or once more since it may have changed. */
static int on_answer(void *owner)
{
    struct xenpv_blk *blk = owner;
    int error = judge_properties(blk);

    if (error == XENPV_OK)
        take_info(blk, &blk->info);
    return error;
}

static bool on_quiesce(void *owner, bool drain)
{
    struct xenpv_blk *blk = owner;
    int reason = blk->bus.detail.error ? blk->bus.detail.error : XENPV_EPEER;

    return blkq_stop(&blk->queue, drain ? BLK_DRAIN : BLK_HALT, reason);
}

static int on_release(void *owner)
{
    return blkq_release(&((struct xenpv_blk *)owner)->queue);
}

static void on_abandon(void *owner, bool suspended)
{
    blkq_abandon(&((struct xenpv_blk *)owner)->queue, suspended);
}

static const struct xenpv_bus_driver driver = {
    .role = XENPV_FRONTEND,
    .published_state = XENPV_STATE_INITIALISED,
    .ask = {[XENPV_ASK_OWN] = {own_keys, OWN_COUNT},
            [XENPV_ASK_OFFER] = {offer_keys, OFFER_COUNT},
            [XENPV_ASK_ANSWER] = {answer_keys, ANSWER_COUNT}},
    .own_keys = written_keys,
    .foreign_keys = foreign_keys,
    .publish = on_publish,
    .connect = on_answer,
    .changed = on_answer,
    .quiesce = on_quiesce,
    .release = on_release,
    .abandon = on_abandon,
};

/* ---- the device ------------------------------------------------------------------------------ */

void xenpv_blk_config_init(struct xenpv_blk_config *config, const struct xenpv_port *port,
                           const char *path)
{
    *config = (struct xenpv_blk_config){.size = sizeof(*config),
                                        .port = port,
                                        .path = path,
                                        .operations = BLK_SLOTS_MAX,
                                        .buffer_pages = BLK_SLOTS_MAX * XENPV_BLKIF_SEGMENTS,
                                        .connect_ms = 30000,
                                        .close_ms = 5000,
                                        .abi = XENPV_ABI_NATIVE};
}

static bool valid(const struct xenpv_blk_config *config)
{
    return config->size == sizeof(*config) && config->port && config->path &&
           config->operations >= 1 && config->operations <= 4096 &&
           config->buffer_pages >= XENPV_BLKIF_SEGMENTS && config->buffer_pages <= 65536 &&
           (uint32_t)config->abi < XENPV_ABI_COUNT;
}

static size_t device_size(void)
{
    return (sizeof(struct xenpv_blk) + 15) & ~(size_t)15;
}

size_t xenpv_blk_size(const struct xenpv_blk_config *config)
{
    return valid(config) ? device_size() + blkq_memory(config) : 0;
}

int xenpv_blk_init(void *memory, const struct xenpv_blk_config *config, struct xenpv_blk **out)
{
    struct xenpv_blk *blk = memory;
    struct xenpv_bus_config bus;

    if (!valid(config))
        return XENPV_EINVAL;
    memset(blk, 0, sizeof(*blk));
    bus = (struct xenpv_bus_config){.port = config->port,
                                    .driver = &driver,
                                    .owner = blk,
                                    .path = config->path,
                                    .values = {blk->own, blk->offer, blk->answer},
                                    .connect_ms = config->connect_ms,
                                    .close_ms = config->close_ms};
    blkq_init(&blk->queue, config, (uint8_t *)memory + device_size());
    *out = blk;
    return xenpv_bus_init(&blk->bus, &bus);
}

int xenpv_blk_connect(struct xenpv_blk *blk, uint64_t now)
{
    const struct xenpv_port *port = blk->bus.config.port;

    if (!port->grant || !port->event)
        return XENPV_ENOTSUP;
    if (!xenpv_load_acquire(&blk->queue.parked))
        return XENPV_EBUSY;
    xenpv_store(&blk->queue.broken, 0);
    return xenpv_bus_start(&blk->bus, XENPV_GOAL_CONNECT, now);
}

int xenpv_blk_inspect(struct xenpv_blk *blk, uint64_t now)
{
    return xenpv_bus_start(&blk->bus, XENPV_GOAL_INSPECT, now);
}

void xenpv_blk_close(struct xenpv_blk *blk, uint64_t now)
{
    xenpv_bus_start(&blk->bus, XENPV_GOAL_CLOSE, now);
}

/* A queue that met a violation has stopped by itself; the device closes over it. */
static void fail_if_broken(struct xenpv_blk *blk)
{
    const struct blk_violation *violation = &blk->queue.violation;
    char number[21];

    if (xenpv_load_acquire(&blk->queue.broken) == 0 || blk->bus.phase == XENPV_BUS_DONE)
        return;
    struct xenpv_detail detail = {.error = XENPV_EBROKEN,
                                  .check = violation->check,
                                  .index = violation->index,
                                  .value = violation->value,
                                  .step = "taking a response from the ring",
                                  .expected = xenpv_check_text(violation->check)};
    uint32_t length = xenpv_format_number(violation->value, number);
    xenpv_printable(detail.found, sizeof(detail.found), number, length);
    xenpv_bus_fail(&blk->bus, &detail);
    xenpv_store(&blk->queue.broken, 0);
}

enum xenpv_blk_state xenpv_blk_step(struct xenpv_blk *blk, uint64_t now)
{
    enum xenpv_blk_state state;

    fail_if_broken(blk);
    xenpv_bus_step(&blk->bus, now);
    state = xenpv_blk_state(blk);
    /* Only a queue whose user has been told of it has anybody to park it. */
    if (state == XENPV_BLK_CONNECTED && !blk->opened) {
        blkq_open(&blk->queue, &blk->info);
        blk->opened = true;
    }
    return state;
}

uint64_t xenpv_blk_deadline(const struct xenpv_blk *blk)
{
    return xenpv_bus_deadline(&blk->bus);
}

enum xenpv_blk_state xenpv_blk_state(const struct xenpv_blk *blk)
{
    const struct xenpv_bus *bus = &blk->bus;

    if (bus->phase == XENPV_BUS_IDLE)
        return XENPV_BLK_IDLE;
    if (bus->phase == XENPV_BUS_DONE)
        return bus->detail.error ? XENPV_BLK_FAILED : XENPV_BLK_CLOSED;
    if (bus->goal == XENPV_GOAL_CLOSE || bus->detail.error)
        return XENPV_BLK_CLOSING;
    return bus->phase == XENPV_BUS_CONNECTED ? XENPV_BLK_CONNECTED : XENPV_BLK_CONNECTING;
}

const struct xenpv_detail *xenpv_blk_detail(const struct xenpv_blk *blk)
{
    return &blk->bus.detail;
}

uint32_t xenpv_blk_abandoned(const struct xenpv_blk *blk)
{
    return blk->queue.arena.abandoned;
}

void xenpv_blk_info(const struct xenpv_blk *blk, struct xenpv_blk_info *info)
{
    const struct xenpv_bus *bus = &blk->bus;

    *info = blk->info;
    if (bus->goal == XENPV_GOAL_INSPECT)
        take_info(blk, info);
    info->backend_id = bus->peer_domid;
    info->frontend_state = bus->own_state;
    info->backend_state = bus->peer_state;
    info->frontend_path = bus->own_path;
    info->backend_path = bus->peer_path;
    info->device_type = xenpv_bus_value(bus, XENPV_ASK_OWN, OWN_DEVICE_TYPE)->text;
}

/* ---- what was negotiated --------------------------------------------------------------------- */

#define ONE_PAGE   "this version uses a ring of one page"
#define NO_DISCARD "this version sends no discards"

static const struct {
    uint8_t question, key;
    uint8_t own; /* the frontend's key for it */
    bool used;   /* the value offered is what we use */
    uint8_t chosen;
    const char *why;
} features[XENPV_BLK_FEATURES] = {
    {XENPV_ASK_OFFER, OFFER_RING_ORDER, OWN_RING_ORDER, false, 0, ONE_PAGE},
    {XENPV_ASK_OFFER, OFFER_RING_PAGES, OWN_RING_PAGES, false, 1, ONE_PAGE},
    {XENPV_ASK_OFFER, OFFER_QUEUES, OWN_QUEUES, false, 1, "this version uses one queue"},
    {XENPV_ASK_OFFER, OFFER_INDIRECT, OWN_NOTHING, false, 0,
     "this version sends no indirect requests"},
    {XENPV_ASK_ANSWER, ANSWER_FLUSH, OWN_NOTHING, true, 0, ""},
    {XENPV_ASK_ANSWER, ANSWER_BARRIER, OWN_NOTHING, false, 0,
     "this version sends no barriers, only flushes"},
    {XENPV_ASK_ANSWER, ANSWER_DISCARD, OWN_NOTHING, false, 0, NO_DISCARD},
    {XENPV_ASK_ANSWER, ANSWER_DISCARD_GRANULARITY, OWN_NOTHING, false, 0, NO_DISCARD},
    {XENPV_ASK_ANSWER, ANSWER_DISCARD_SECURE, OWN_NOTHING, false, 0, NO_DISCARD},
    {XENPV_ASK_ANSWER, ANSWER_PERSISTENT, OWN_PERSISTENT, false, 0,
     "this version does not announce it"},
};

uint32_t xenpv_blk_negotiation(const struct xenpv_blk *blk,
                               struct xenpv_negotiation out[XENPV_BLK_FEATURES])
{
    for (uint32_t i = 0; i < XENPV_BLK_FEATURES; i++) {
        enum xenpv_bus_question question = (enum xenpv_bus_question)features[i].question;
        const struct xenpv_key_value *value = xenpv_bus_value(&blk->bus, question, features[i].key);
        const char *asked = features[i].own == OWN_NOTHING
                                ? ""
                                : xenpv_bus_value(&blk->bus, XENPV_ASK_OWN, features[i].own)->text;
        uint64_t chosen = features[i].used ? value->number : features[i].chosen;
        bool all = value->status != XENPV_KEY_GOOD || value->number <= chosen;
        bool later = question == XENPV_ASK_ANSWER && value->status == XENPV_KEY_ABSENT &&
                     blk->bus.peer_state != XENPV_STATE_CONNECTED;

        out[i] = (struct xenpv_negotiation){.key = driver.ask[question].keys[features[i].key].name,
                                            .status = later ? XENPV_KEY_UNREAD : value->status,
                                            .offered = value->text,
                                            .asked = asked,
                                            .chosen = chosen,
                                            .why = all ? "" : features[i].why};
    }
    return XENPV_BLK_FEATURES;
}

struct xenpv_blkq *xenpv_blk_queue(struct xenpv_blk *blk, uint32_t number)
{
    return number == 0 ? &blk->queue : NULL;
}

/* SPDX-License-Identifier: MIT */
/* What the store says of a disk: keys, judgement, negotiation, and what is told of it. */
#include "blk_device.h"
#include "bus_jobs.h"
#include "check.h"

#define LARGEST_SECTOR   32768u
#define LARGEST_PHYSICAL (1u << 30)
#define LARGEST_DISK     (UINT64_C(1) << 63)
#define STORE_NODES      900u /* that the rings' keys may take: xenstored gives a guest 1,000 */

/* ---- keys: blkif.h, "Backend XenBus Nodes" and "Frontend XenBus Nodes" ----------------------- */

#define NUMBER(name, fallback, min, max)                                                           \
    {                                                                                              \
        name, XENPV_KEY_NUMBER, false, fallback, min, max                                          \
    }
#define FLAG(name) NUMBER(name, 0, 0, 1)
#define TEXT(name)                                                                                 \
    {                                                                                              \
        name, XENPV_KEY_TEXT, false, 0, 0, 0                                                       \
    }
#define LONG(name)                                                                                 \
    {                                                                                              \
        name, XENPV_KEY_LONG, false, 0, 0, 0                                                       \
    }

const struct xenpv_key blk_own_keys[OWN_COUNT] = {
    [OWN_DEVICE_TYPE] = TEXT("device-type"),
    [OWN_TRUSTED] = NUMBER("trusted", 1, 0, 1),
    [OWN_RING_ORDER] = NUMBER("ring-page-order", 0, 0, UINT32_MAX),
    [OWN_RING_PAGES] = NUMBER("num-ring-pages", 1, 0, UINT32_MAX),
    [OWN_QUEUES] = NUMBER("multi-queue-num-queues", 1, 0, UINT32_MAX),
    [OWN_PERSISTENT] = FLAG("feature-persistent"),
};

const struct xenpv_key blk_offer_keys[OFFER_COUNT] = {
    [OFFER_RING_ORDER] = NUMBER("max-ring-page-order", 0, 0, 20),
    [OFFER_RING_PAGES] = NUMBER("max-ring-pages", 1, 1, 1u << 20),
    [OFFER_QUEUES] = NUMBER("multi-queue-max-queues", 1, 1, UINT32_MAX),
    [OFFER_INDIRECT] = NUMBER("feature-max-indirect-segments", 0, 0, UINT32_MAX),
};

const struct xenpv_key blk_answer_keys[ANSWER_COUNT] = {
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
    [ANSWER_SERIAL] = LONG("sm-data/scsi/0x12/0x80"),
    [ANSWER_DESIGNATOR] = LONG("sm-data/scsi/0x12/0x83"),
};

static const struct xenpv_key_value *offer(const struct xenpv_blk *blk, uint32_t key)
{
    return xenpv_bus_value(&blk->bus, XENPV_ASK_OFFER, key);
}

static const struct xenpv_key_value *answer(const struct xenpv_blk *blk, uint32_t key)
{
    return xenpv_bus_value(&blk->bus, XENPV_ASK_ANSWER, key);
}

/* ---- judging the disk ------------------------------------------------------------------------ */

static bool power_of_two(uint64_t n)
{
    return n && (n & (n - 1)) == 0;
}

static uint32_t log2_of(uint32_t n)
{
    uint32_t log = 0;

    while (n >>= 1)
        log++;
    return log;
}

/* Bytes that `sectors` counts. */
static uint64_t size_unit(const struct xenpv_blk *blk)
{
    return blk->config.units == XENPV_UNITS_512 ? XENPV_BLKIF_SECTOR
                                                : answer(blk, ANSWER_SECTOR_SIZE)->number;
}

/* The size of the disk in bytes; false: it is more than 2^63. */
static bool bytes_of(const struct xenpv_blk *blk, uint64_t *bytes)
{
    uint64_t sectors = answer(blk, ANSWER_SECTORS)->number, unit = size_unit(blk);

    *bytes = 0;
    if (!power_of_two(unit) || unit > LARGEST_SECTOR ||
        sectors > LARGEST_DISK >> log2_of((uint32_t)unit))
        return false;
    *bytes = sectors << log2_of((uint32_t)unit);
    return true;
}

/* A segment cannot name less than one sector of a page, in units in which it counts sectors. */
static uint32_t largest_sector(const struct xenpv_blk *blk)
{
    return blk->config.units == XENPV_UNITS_SECTOR_SIZE ? XENPV_PAGE_SIZE : LARGEST_SECTOR;
}

/* The check that the properties fail, or XENPV_CHECK_NONE; `key` is the one concerned. */
static uint32_t judge(const struct xenpv_blk *blk, uint32_t *key)
{
    uint64_t size = answer(blk, ANSWER_SECTOR_SIZE)->number, bytes;
    uint64_t physical = answer(blk, ANSWER_PHYSICAL)->number;
    bool readable = answer(blk, ANSWER_SECTOR_SIZE)->status != XENPV_KEY_JUNK;
    bool has_physical = answer(blk, ANSWER_PHYSICAL)->status == XENPV_KEY_GOOD;

    *key = ANSWER_SECTOR_SIZE;
    if (!XENPV_CHECK(SECTOR_SIZE, readable && power_of_two(size) && size >= XENPV_BLKIF_SECTOR &&
                                      size <= largest_sector(blk)))
        return XENPV_CHECK_SECTOR_SIZE;
    *key = ANSWER_SECTORS;
    if (!XENPV_CHECK(SECTORS, bytes_of(blk, &bytes)))
        return XENPV_CHECK_SECTORS;
    *key = ANSWER_PHYSICAL;
    if (!XENPV_CHECK(PHYS_SECTOR, !has_physical || (power_of_two(physical) && physical >= size &&
                                                    physical <= LARGEST_PHYSICAL)))
        return XENPV_CHECK_PHYS_SECTOR;
    return XENPV_CHECK_NONE;
}

int blk_judge(struct xenpv_blk *blk)
{
    uint32_t key, check = judge(blk, &key);
    struct xenpv_detail detail = {.error = XENPV_EBROKEN,
                                  .check = check,
                                  .step = "reading the disk's properties",
                                  .expected = xenpv_check_text(check)};

    if (check == XENPV_CHECK_NONE)
        return XENPV_OK;
    bus_describe_key(&detail, blk->bus.peer_path, blk_answer_keys[key].name);
    memcpy(detail.found, answer(blk, key)->text, XENPV_KEY_TEXT_MAX);
    xenpv_bus_fail(&blk->bus, &detail);
    return XENPV_EBROKEN;
}

/* ---- negotiating ----------------------------------------------------------------------------- */

static uint32_t smaller(uint64_t a, uint64_t b)
{
    return (uint32_t)(a < b ? a : b);
}

static bool wanted(const struct xenpv_blk *blk, uint32_t feature)
{
    return (blk->config.without & feature) == 0;
}

/* log2 of the pages that the backend takes for a ring: the newer key, or the older one. */
static uint32_t offered_order(const struct xenpv_blk *blk)
{
    const struct xenpv_key_value *order = offer(blk, OFFER_RING_ORDER);
    const struct xenpv_key_value *pages = offer(blk, OFFER_RING_PAGES);

    return order->status == XENPV_KEY_GOOD ? (uint32_t)order->number
                                           : log2_of((uint32_t)pages->number);
}

uint32_t blk_queues(const struct xenpv_blk *blk)
{
    return wanted(blk, XENPV_BLK_MULTI_QUEUE)
               ? smaller(blk->config.queues, offer(blk, OFFER_QUEUES)->number)
               : 1;
}

uint32_t blk_ring_order(const struct xenpv_blk *blk)
{
    uint32_t order = smaller(blk->config.ring_order, offered_order(blk));

    if (!wanted(blk, XENPV_BLK_LARGE_RING))
        return 0;
    while (order && blk_queues(blk) * ((1u << order) + 2) > STORE_NODES)
        order--;
    return order;
}

/* Pages of one request at most: an indirect one has pages of its index in the pool, too. A sector
 * always fits, wherever in a page it begins. */
static uint32_t segments(const struct xenpv_blk *blk, uint32_t sector_size)
{
    const struct xenpv_blk_config *config = &blk->config;
    uint32_t least = sector_size / XENPV_PAGE_SIZE + 1;
    uint32_t wish = config->segments > least ? config->segments : least;
    uint32_t direct = smaller(wish, XENPV_BLKIF_SEGMENTS);
    uint32_t most = smaller(config->segments, offer(blk, OFFER_INDIRECT)->number);

    while (most && most + (most + BLK_INDEX_ENTRIES - 1) / BLK_INDEX_ENTRIES > config->buffer_pages)
        most--;
    return wanted(blk, XENPV_BLK_INDIRECT) && most > XENPV_BLKIF_SEGMENTS ? most : direct;
}

static bool trusted(const struct xenpv_blk *blk)
{
    return xenpv_bus_value(&blk->bus, XENPV_ASK_OWN, OWN_TRUSTED)->number != 0;
}

bool blk_owns_memory(const struct xenpv_blk *blk)
{
    const struct xenpv_port *port = blk->config.port;

    return blk->config.own_memory && trusted(blk) && (port->caps & XENPV_CAP_GRANT_OWN) != 0;
}

/* What is used of what the backend offers; `refused` is what it has turned out not to know. */
static uint32_t features(const struct xenpv_blk *blk, const struct xenpv_blk_info *info)
{
    const struct {
        uint32_t feature;
        bool offered;
    } table[] = {
        {XENPV_BLK_FLUSH, answer(blk, ANSWER_FLUSH)->number != 0},
        {XENPV_BLK_BARRIER, answer(blk, ANSWER_BARRIER)->number != 0},
        {XENPV_BLK_DISCARD, answer(blk, ANSWER_DISCARD)->number != 0},
        {XENPV_BLK_SECURE_DISCARD, answer(blk, ANSWER_DISCARD)->number != 0 &&
                                       answer(blk, ANSWER_DISCARD_SECURE)->number != 0},
        {XENPV_BLK_PERSISTENT,
         answer(blk, ANSWER_PERSISTENT)->number != 0 && !blk_owns_memory(blk)},
        {XENPV_BLK_INDIRECT, info->segments > XENPV_BLKIF_SEGMENTS},
        {XENPV_BLK_LARGE_RING, blk_ring_order(blk) != 0},
        {XENPV_BLK_MULTI_QUEUE, blk_queues(blk) > 1},
    };
    uint32_t refused = 0, used = 0;

    for (uint32_t i = 0; i < blk->config.queues; i++)
        refused |= xenpv_load(&blk->queue[i].refused);
    for (uint32_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        used |= table[i].offered ? table[i].feature : 0;
    used &= ~blk->config.without & ~refused;
    return used & XENPV_BLK_DISCARD ? used : used & ~(uint32_t)XENPV_BLK_SECURE_DISCARD;
}

/* ---- what is told of it ---------------------------------------------------------------------- */

static const char *doubt(const struct xenpv_blk *blk)
{
    uint64_t size = answer(blk, ANSWER_SECTOR_SIZE)->number;
    uint64_t physical = answer(blk, ANSWER_PHYSICAL)->number;
    uint64_t sectors = answer(blk, ANSWER_SECTORS)->number;
    uint64_t granularity = answer(blk, ANSWER_DISCARD_GRANULARITY)->number;

    if (answer(blk, ANSWER_SECTOR_SIZE)->status == XENPV_KEY_UNREAD)
        return "";
    if (!power_of_two(size) || size < XENPV_BLKIF_SECTOR)
        return "sector-size is no power of two of 512 or more";
    if (physical && physical < size)
        return "physical-sector-size is smaller than sector-size";
    if (blk->config.units == XENPV_UNITS_512 && (sectors & (size / XENPV_BLKIF_SECTOR - 1)) != 0)
        return "sectors, counted in 512 bytes, is no whole number of sector-size: the backend may "
               "count in sector-size (quirk sector-size, freebsd or mini-os)";
    if (granularity & (size - 1))
        return "discard-granularity is no multiple of sector-size";
    return "";
}

/* Granularity and alignment of discards, both whole sectors, whatever the backend says. */
static void take_discard(const struct xenpv_blk *blk, struct xenpv_blk_info *info)
{
    uint32_t mask = info->sector_size - 1;

    info->discard_granularity = (uint32_t)answer(blk, ANSWER_DISCARD_GRANULARITY)->number;
    info->discard_alignment = (uint32_t)answer(blk, ANSWER_DISCARD_ALIGNMENT)->number;
    if (info->discard_granularity == 0 || (info->discard_granularity & mask))
        info->discard_granularity = info->sector_size;
    info->discard_alignment %= info->discard_granularity;
    if (info->discard_alignment & mask)
        info->discard_alignment = 0;
}

void blk_take_info(const struct xenpv_blk *blk, struct xenpv_blk_info *info)
{
    uint64_t size = answer(blk, ANSWER_SECTOR_SIZE)->number;
    uint64_t physical = answer(blk, ANSWER_PHYSICAL)->number;
    uint64_t flags = answer(blk, ANSWER_INFO)->number;
    const struct xenpv_key_value *serial = answer(blk, ANSWER_SERIAL);
    const struct xenpv_key_value *designator = answer(blk, ANSWER_DESIGNATOR);

    info->sector_size = power_of_two(size) && size <= LARGEST_SECTOR ? (uint32_t)size : 0;
    info->physical_sector_size = (uint32_t)(physical ? physical : size);
    bytes_of(blk, &info->bytes);
    if (info->sector_size)
        info->bytes &= ~((uint64_t)info->sector_size - 1);
    info->cdrom = (flags & XENPV_VDISK_CDROM) != 0;
    info->removable = (flags & XENPV_VDISK_REMOVABLE) != 0;
    info->readonly = (flags & XENPV_VDISK_READONLY) != 0;
    info->trusted = trusted(blk);
    info->segments = segments(blk, info->sector_size);
    info->queues = blk->queues ? blk->queues : blk_queues(blk);
    info->ring_pages = 1u << blk_ring_order(blk);
    info->features = features(blk, info);
    if (info->sector_size)
        take_discard(blk, info);
    info->serial[0] = info->designator[0] = '\0';
    if (serial->status == XENPV_KEY_GOOD)
        xenpv_blk_identity(serial->bytes, serial->length, info->serial);
    if (designator->status == XENPV_KEY_GOOD)
        xenpv_blk_identity(designator->bytes, designator->length, info->designator);
    info->doubt = doubt(blk);
}

void blk_properties(const struct xenpv_blk *blk, struct blk_properties *p)
{
    const struct xenpv_blk_info *info = &blk->info;
    bool in_sectors = blk->config.units == XENPV_UNITS_SECTOR_SIZE;
    bool numbers = in_sectors || blk->config.units == XENPV_UNITS_FREEBSD;
    uint32_t granularity = info->discard_granularity;

    *p = (struct blk_properties){
        .bytes_low = (uint32_t)info->bytes,
        .bytes_high = (uint32_t)(info->bytes >> 32),
        .unit = info->sector_size,
        .number_shift = log2_of(numbers ? info->sector_size : XENPV_BLKIF_SECTOR),
        .segment_shift = log2_of(in_sectors ? info->sector_size : XENPV_BLKIF_SECTOR),
        .segments = info->segments,
        .features = info->features,
        .readonly = info->readonly,
        .trusted = info->trusted,
        .own_memory = blk_owns_memory(blk),
        .granularity = granularity,
        .alignment = info->discard_alignment,
        .discard_most = granularity > BLK_DISCARD_MOST
                            ? granularity
                            : BLK_DISCARD_MOST - BLK_DISCARD_MOST % granularity,
    };
}

/* ---- names ----------------------------------------------------------------------------------- */

const char *xenpv_blk_feature_name(uint32_t bit)
{
    static const char *const names[XENPV_BLK_FEATURES] = {
        "flush",      "barrier",  "discard",    "secure-discard",
        "persistent", "indirect", "large-ring", "multi-queue"};

    return bit < XENPV_BLK_FEATURES ? names[bit] : NULL;
}

const char *xenpv_blk_units_name(uint32_t units)
{
    static const char *const names[XENPV_UNITS_COUNT] = {"512", "sector-size", "freebsd",
                                                         "mini-os"};

    return units < XENPV_UNITS_COUNT ? names[units] : NULL;
}

/* ---- what was negotiated --------------------------------------------------------------------- */

/* Where the number that is used of an offer is found. */
enum chosen {
    BY_FEATURE,
    THE_ORDER,
    THE_PAGES,
    THE_QUEUES,
    THE_SEGMENTS,
    THE_GRANULARITY,
    THE_ALIGNMENT
};

static const struct {
    uint8_t question, key;
    uint8_t own;    /* the frontend's key for it */
    uint8_t chosen; /* enum chosen */
    uint32_t feature;
    const char *why; /* when less is used than offered, and not for lack of will */
} negotiations[XENPV_BLK_NEGOTIATIONS] = {
    {XENPV_ASK_OFFER, OFFER_RING_ORDER, OWN_RING_ORDER, THE_ORDER, XENPV_BLK_LARGE_RING,
     "so large a ring was asked for, or has room in the store"},
    {XENPV_ASK_OFFER, OFFER_RING_PAGES, OWN_RING_PAGES, THE_PAGES, XENPV_BLK_LARGE_RING,
     "so large a ring was asked for, or has room in the store"},
    {XENPV_ASK_OFFER, OFFER_QUEUES, OWN_QUEUES, THE_QUEUES, XENPV_BLK_MULTI_QUEUE,
     "so many queues were asked for"},
    {XENPV_ASK_OFFER, OFFER_INDIRECT, OWN_NOTHING, THE_SEGMENTS, XENPV_BLK_INDIRECT,
     "requests of this size were asked for"},
    {XENPV_ASK_ANSWER, ANSWER_FLUSH, OWN_NOTHING, BY_FEATURE, XENPV_BLK_FLUSH, ""},
    {XENPV_ASK_ANSWER, ANSWER_BARRIER, OWN_NOTHING, BY_FEATURE, XENPV_BLK_BARRIER, ""},
    {XENPV_ASK_ANSWER, ANSWER_DISCARD, OWN_NOTHING, BY_FEATURE, XENPV_BLK_DISCARD, ""},
    {XENPV_ASK_ANSWER, ANSWER_DISCARD_GRANULARITY, OWN_NOTHING, THE_GRANULARITY, XENPV_BLK_DISCARD,
     "it is no number of whole sectors"},
    {XENPV_ASK_ANSWER, ANSWER_DISCARD_ALIGNMENT, OWN_NOTHING, THE_ALIGNMENT, XENPV_BLK_DISCARD,
     "it is no number of whole sectors below the granularity"},
    {XENPV_ASK_ANSWER, ANSWER_DISCARD_SECURE, OWN_NOTHING, BY_FEATURE, XENPV_BLK_SECURE_DISCARD,
     ""},
    {XENPV_ASK_ANSWER, ANSWER_PERSISTENT, OWN_PERSISTENT, BY_FEATURE, XENPV_BLK_PERSISTENT,
     "the caller's memory is granted instead"},
};

static uint64_t chosen(const struct xenpv_blk *blk, uint32_t which,
                       const struct xenpv_blk_info *info)
{
    bool used = (info->features & negotiations[which].feature) != 0;

    switch ((enum chosen)negotiations[which].chosen) {
    case THE_ORDER:
        return blk_ring_order(blk);
    case THE_PAGES:
        return 1u << blk_ring_order(blk);
    case THE_QUEUES:
        return info->queues;
    case THE_SEGMENTS:
        return used ? info->segments : 0;
    case THE_GRANULARITY:
        return used ? info->discard_granularity : 0;
    case THE_ALIGNMENT:
        return used ? info->discard_alignment : 0;
    case BY_FEATURE:
        break;
    }
    return used;
}

static const char *why(const struct xenpv_blk *blk, uint32_t which)
{
    uint32_t feature = negotiations[which].feature, refused = 0;

    for (uint32_t i = 0; i < blk->config.queues; i++)
        refused |= xenpv_load(&blk->queue[i].refused);
    if (blk->config.without & feature)
        return "it is switched off";
    return refused & feature ? "the backend answered that it does not know it"
                             : negotiations[which].why;
}

uint32_t xenpv_blk_negotiation(const struct xenpv_blk *blk,
                               struct xenpv_negotiation out[XENPV_BLK_NEGOTIATIONS])
{
    struct xenpv_blk_info info;

    xenpv_blk_info(blk, &info);
    for (uint32_t i = 0; i < XENPV_BLK_NEGOTIATIONS; i++) {
        enum xenpv_bus_question question = (enum xenpv_bus_question)negotiations[i].question;
        const struct xenpv_key_value *value =
            xenpv_bus_value(&blk->bus, question, negotiations[i].key);
        const char *asked =
            negotiations[i].own == OWN_NOTHING
                ? ""
                : xenpv_bus_value(&blk->bus, XENPV_ASK_OWN, negotiations[i].own)->text;
        uint64_t number = chosen(blk, i, &info);
        bool all = value->status != XENPV_KEY_GOOD || value->number <= number;
        bool later = question == XENPV_ASK_ANSWER && value->status == XENPV_KEY_ABSENT &&
                     blk->bus.peer_state != XENPV_STATE_CONNECTED;
        const struct xenpv_key *key = question == XENPV_ASK_OFFER
                                          ? &blk_offer_keys[negotiations[i].key]
                                          : &blk_answer_keys[negotiations[i].key];

        out[i] = (struct xenpv_negotiation){.key = key->name,
                                            .status = later ? XENPV_KEY_UNREAD : value->status,
                                            .offered = value->text,
                                            .asked = asked,
                                            .chosen = number,
                                            .why = all ? "" : why(blk, i)};
    }
    return XENPV_BLK_NEGOTIATIONS;
}

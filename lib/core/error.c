/* SPDX-License-Identifier: MIT */
#include <xenpv/error.h>

struct name {
    const char *name, *text;
};

/* Indexed by the negated error. */
static const struct name errors[] = {
    {"XENPV_OK", "success"},
    {"XENPV_EINVAL", "an argument is out of its range"},
    {"XENPV_ENOMEM", "out of memory"},
    {"XENPV_ENOENT", "there is no such thing"},
    {"XENPV_EACCES", "permission denied"},
    {"XENPV_EEXIST", "it exists already"},
    {"XENPV_EAGAIN", "the store transaction met a conflict"},
    {"XENPV_ENOSPC", "a quota of the store is used up"},
    {"XENPV_E2BIG", "it is too large"},
    {"XENPV_EBUSY", "somebody else holds it"},
    {"XENPV_EIO", "the other end failed the request"},
    {"XENPV_ENOTSUP", "the peer does not support it"},
    {"XENPV_EROFS", "the disk is read-only"},
    {"XENPV_ERANGE", "it is beyond the end of the disk"},
    {"XENPV_EFULL", "the queue is full"},
    {"XENPV_EPARKED", "the device is being closed"},
    {"XENPV_ETIMEDOUT", "the time is up"},
    {"XENPV_EPEER", "the peer closed, vanished or refused"},
    {"XENPV_EBROKEN", "the peer broke the protocol"},
    {"XENPV_ESTALE", "the guest was suspended meanwhile"},
    {"XENPV_ENOGRANT", "no grant reference is free"},
    {"XENPV_ENOPORT", "no event channel is free"},
    {"XENPV_ESTORE", "the store cannot be reached"},
    {"XENPV_ENOXEN", "there is no Xen here, or its devices cannot be opened"},
};

static const struct name checks[XENPV_CHECK_COUNT] = {
    [XENPV_CHECK_NONE] = {"none", "nothing"},
    [XENPV_CHECK_RSP_PROD] = {"rsp-prod", "responses never outnumber the requests outstanding"},
    [XENPV_CHECK_RSP_ID] = {"rsp-id", "a response's id is below the number of slots"},
    [XENPV_CHECK_RSP_INFLIGHT] = {"rsp-inflight",
                                  "a response's id belongs to a published, unanswered request"},
    [XENPV_CHECK_RSP_OP] = {"rsp-op", "a response carries the operation of its request"},
    [XENPV_CHECK_BACKEND_ID] = {"backend-id", "a domain number, 0 to 32751"},
    [XENPV_CHECK_SECTOR_SIZE] = {"sector-size", "a power of two, 512 to 32768"},
    [XENPV_CHECK_SECTORS] = {"sectors", "a whole number of 512-byte sectors, in all at most 2^63"
                                        " bytes"},
    [XENPV_CHECK_PHYS_SECTOR] = {"physical-sector-size",
                                 "a power of two, at least sector-size, at most 2^30"},
    [XENPV_CHECK_REQ_PROD] = {"req-prod", "requests never outnumber the free slots"},
    [XENPV_CHECK_REQ_SEGMENTS] = {"req-segments",
                                  "1 to 11 segments, or 0 where the operation carries no data"},
    [XENPV_CHECK_REQ_SECTORS] = {"req-sectors", "first_sect <= last_sect <= 7"},
    [XENPV_CHECK_REQ_RANGE] = {"req-range", "a request ends at or before the end of the disk"},
    [XENPV_CHECK_REQ_READONLY] = {"req-readonly", "no write to a read-only disk"},
    [XENPV_CHECK_GRANT_HELD] = {"grant-held",
                                "what was granted for a request is not mapped once it is answered"},
    [XENPV_CHECK_REQ_INDIRECT] = {"req-indirect", "an indirect request reads or writes"},
    [XENPV_CHECK_REQ_INDIRECT_SEGMENTS] = {"req-indirect-segments",
                                           "an indirect request has 1 to"
                                           " feature-max-indirect-segments segments"},
    [XENPV_CHECK_REQ_DISCARD] = {"req-discard", "a discard ends at or before the end of the disk"},
    [XENPV_CHECK_REQ_ALIGNED] = {"req-aligned",
                                 "a request begins and ends on whole sectors of sector-size"},
    [XENPV_CHECK_REQ_RING] = {"req-ring", "no more ring pages than were offered, a power of two"},
    [XENPV_CHECK_REQ_QUEUES] = {"req-queues", "1 to as many queues as were offered"},
    [XENPV_CHECK_TX_NULL] = {"tx-null", "only the slot of an extra info is answered NULL"},
    [XENPV_CHECK_RX_ID] = {"rx-id", "a received slot carries the id of the request it consumes"},
    [XENPV_CHECK_RX_BOUNDS] = {"rx-bounds", "received bytes lie in their page"},
    [XENPV_CHECK_RX_EXTRA] = {"rx-extra", "an extra info has a type that there is"},
    [XENPV_CHECK_RX_GSO] = {"rx-gso", "a segment size, of a protocol that was asked for"},
    [XENPV_CHECK_RX_LENGTH] = {"rx-length", "a received frame has at most 65535 bytes"},
    [XENPV_CHECK_CTRL_ID] = {"ctrl-id", "a control answer's id belongs to an unanswered message"},
    [XENPV_CHECK_CTRL_TYPE] = {"ctrl-type", "a control answer carries the type of its message"},
    [XENPV_CHECK_TX_WHOLE] = {"tx-whole", "a packet is published with all its slots"},
    [XENPV_CHECK_TX_SLOTS] = {"tx-slots", "a packet has 18 slots at most, 1 without feature-sg"},
    [XENPV_CHECK_TX_SIZE] = {"tx-size",
                             "a packet has 14 bytes at least, and no fewer than its fragments"},
    [XENPV_CHECK_TX_PAGE] = {"tx-page", "a fragment ends within its page"},
    [XENPV_CHECK_TX_EXTRA] = {"tx-extra", "an extra info is GSO, MCAST_ADD, MCAST_DEL or HASH"},
    [XENPV_CHECK_TX_GSO] = {"tx-gso",
                            "a large packet is TCP of the type it says, with a size of segments"},
    [XENPV_CHECK_TX_OFFLOAD] = {"tx-offload", "no offload that was not offered"},
    [XENPV_CHECK_CTRL_MAPPING] = {"ctrl-mapping", "a part of the mapping lies within it"},
    [XENPV_CHECK_CTRL_QUEUE] = {"ctrl-queue", "a queue's number is below the number of queues"},
    [XENPV_CHECK_CTRL_KEY] = {"ctrl-key", "a key has 40 bytes at most"},
    [XENPV_CHECK_CTRL_GREFS] = {"ctrl-grefs",
                                "a list of static grants fits its page and the backend's table"},
    [XENPV_CHECK_XS_INDEX] = {"xs-index", "ring indices at most 1024 bytes apart"},
    [XENPV_CHECK_XS_LENGTH] = {"xs-length", "a message of the store has 4096 bytes at most"},
    [XENPV_CHECK_XS_TYPE] = {"xs-type", "an answer has the type of its request, or is an error"},
    [XENPV_CHECK_XS_ANSWER] = {"xs-answer", "an answer's lists end, and its numbers are numbers"},
    [XENPV_CHECK_XS_EVENT] = {"xs-event", "a watch event is two strings"},
};

static const struct name *error_entry(int error)
{
    static const struct name unknown = {"XENPV_E?", "an unknown error"};
    int index = -error;

    if (index < 0 || (size_t)index >= sizeof(errors) / sizeof(errors[0]))
        return &unknown;
    return &errors[index];
}

const char *xenpv_error_name(int error)
{
    return error_entry(error)->name;
}

const char *xenpv_error_text(int error)
{
    return error_entry(error)->text;
}

static const struct name *check_entry(uint32_t check)
{
    static const struct name unknown = {"?", "?"};

    return check < XENPV_CHECK_COUNT && checks[check].name ? &checks[check] : &unknown;
}

const char *xenpv_check_name(uint32_t check)
{
    return check_entry(check)->name;
}

const char *xenpv_check_text(uint32_t check)
{
    return check_entry(check)->text;
}

const char *xenpv_version(void)
{
    return "0.1.0";
}

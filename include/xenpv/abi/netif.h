/* SPDX-License-Identifier: MIT */
/*
 * The network protocol on the wire, as in Xen's xen/include/public/io/netif.h: requests, responses,
 * extra infos and control messages. The layout is the same on every machine. Structures here are
 * decoded, host-side copies; the codec moves them to and from the words of a ring slot. It checks
 * nothing: everything is taken as it stands.
 *
 * An extra info of type XDP, and the keys that go with it, are in Linux's copy of the header only.
 */
#ifndef XENPV_ABI_NETIF_H
#define XENPV_ABI_NETIF_H

#include <xenpv/env.h>

#ifdef __cplusplus
extern "C" {
#endif

#define XENPV_NETIF_SLOTS_MIN  18u /* XEN_NETIF_NR_SLOTS_MIN: of a packet, what every end takes */
#define XENPV_NETIF_PACKET_MAX 0xffffu /* XEN_NETIF_MAX_TX_SIZE: bytes, Ethernet header included */

/* Bytes of a ring slot. A ring has one page: 256 slots for tx, 256 for rx, 128 for control. */
#define XENPV_NETIF_TX_SLOT   12u
#define XENPV_NETIF_RX_SLOT   8u
#define XENPV_NETIF_CTRL_SLOT 16u

/* ---- transmit: from frontend to backend ------------------------------------------------------ */

/* NETTXF_*. The first two bits mean the same as those of an rx response, the other way round. */
enum xenpv_netif_tx_flag {
    XENPV_NETTXF_CSUM_BLANK = 1u << 0,     /* the checksum of TCP or UDP is still to be made */
    XENPV_NETTXF_DATA_VALIDATED = 1u << 1, /* it need not be verified */
    XENPV_NETTXF_MORE_DATA = 1u << 2,      /* the packet goes on in the next request */
    XENPV_NETTXF_EXTRA_INFO = 1u << 3,     /* an extra info follows in the next slot */
};

struct xenpv_netif_tx_request {
    uint32_t ref;
    uint16_t offset; /* byte in the page */
    uint16_t flags; /* XENPV_NETTXF_*; of the first request of a packet, of others MORE_DATA only */
    uint16_t id;
    uint16_t size; /* bytes: the first request's are the whole packet's, the others' their own */
};

/* NETIF_RSP_* */
enum xenpv_netif_status {
    XENPV_NETIF_NULL = 1, /* of the slot of an extra info */
    XENPV_NETIF_OKAY = 0,
    XENPV_NETIF_ERROR = -1,
    XENPV_NETIF_DROPPED = -2,
};

struct xenpv_netif_tx_response {
    uint16_t id;
    int16_t status; /* enum xenpv_netif_status */
};

/* ---- receive: from backend to frontend ------------------------------------------------------- */

/* NETRXF_* */
enum xenpv_netif_rx_flag {
    XENPV_NETRXF_DATA_VALIDATED = 1u << 0,
    XENPV_NETRXF_CSUM_BLANK = 1u << 1,
    XENPV_NETRXF_MORE_DATA = 1u << 2,
    XENPV_NETRXF_EXTRA_INFO = 1u << 3,
    XENPV_NETRXF_GSO_PREFIX =
        1u << 4, /* deprecated: this slot has no data, its offset is the mss */
};

struct xenpv_netif_rx_request {
    uint32_t ref;
    uint16_t id;
};

/* It stands in the slot of the request that it consumes. */
struct xenpv_netif_rx_response {
    uint16_t id;
    uint16_t offset; /* byte in the page */
    uint16_t flags;  /* XENPV_NETRXF_* */
    int16_t status;  /* bytes in this page, or enum xenpv_netif_status if negative */
};

/* ---- extra infos, of both directions --------------------------------------------------------- */

enum xenpv_netif_extra_type {
    XENPV_NETIF_EXTRA_NONE = 0, /* never sent */
    XENPV_NETIF_EXTRA_GSO = 1,
    XENPV_NETIF_EXTRA_MCAST_ADD = 2,
    XENPV_NETIF_EXTRA_MCAST_DEL = 3,
    XENPV_NETIF_EXTRA_HASH = 4,
    XENPV_NETIF_EXTRA_XDP = 5, /* Linux: drivers/net/xen-netback, "xdp-headroom" */
    XENPV_NETIF_EXTRA_COUNT
};

#define XENPV_NETIF_EXTRA_MORE 1u /* of ->flags: another extra info follows */

enum xenpv_netif_gso_type {
    XENPV_NETIF_GSO_NONE = 0,
    XENPV_NETIF_GSO_TCPV4 = 1,
    XENPV_NETIF_GSO_TCPV6 = 2,
};

struct xenpv_netif_extra {
    uint8_t type;  /* enum xenpv_netif_extra_type */
    uint8_t flags; /* XENPV_NETIF_EXTRA_MORE */
    union {
        struct {
            uint16_t size; /* bytes of payload of each segment */
            uint8_t type;  /* enum xenpv_netif_gso_type */
            uint16_t features;
        } gso;
        struct {
            uint8_t addr[6];
        } mcast;
        struct {
            uint8_t type;      /* enum xenpv_netif_hash */
            uint8_t algorithm; /* enum xenpv_netif_algorithm */
            uint32_t value;
        } hash;
        struct {
            uint16_t headroom; /* bytes of a page before the data; Linux's offset is 0 even so */
        } xdp;
    } u;
};

/* ---- control --------------------------------------------------------------------------------- */

/* Kinds of hash: numbers in an extra info; 1 << number is the flag of a control message. */
enum xenpv_netif_hash {
    XENPV_NETIF_HASH_IPV4 = 0,
    XENPV_NETIF_HASH_IPV4_TCP = 1,
    XENPV_NETIF_HASH_IPV6 = 2,
    XENPV_NETIF_HASH_IPV6_TCP = 3,
};

enum xenpv_netif_algorithm {
    XENPV_NETIF_ALGORITHM_NONE = 0,
    XENPV_NETIF_ALGORITHM_TOEPLITZ = 1,
};

/* XEN_NETIF_CTRL_TYPE_*: what data[] holds, and -> what a response's data is. */
enum xenpv_netif_ctrl_type {
    XENPV_NETIF_CTRL_INVALID = 0,
    XENPV_NETIF_CTRL_GET_HASH_FLAGS = 1,        /* -> flags that are supported */
    XENPV_NETIF_CTRL_SET_HASH_FLAGS = 2,        /* flags, 0: no hash */
    XENPV_NETIF_CTRL_SET_HASH_KEY = 3,          /* reference, bytes */
    XENPV_NETIF_CTRL_GET_HASH_MAPPING_SIZE = 4, /* -> entries at most */
    XENPV_NETIF_CTRL_SET_HASH_MAPPING_SIZE = 5, /* entries, 0: hash modulo queues */
    XENPV_NETIF_CTRL_SET_HASH_MAPPING = 6,      /* reference, entries, first entry */
    XENPV_NETIF_CTRL_SET_HASH_ALGORITHM = 7,    /* enum xenpv_netif_algorithm */
    XENPV_NETIF_CTRL_GET_GREF_MAPPING_SIZE = 8, /* queue -> entries at most */
    XENPV_NETIF_CTRL_ADD_GREF_MAPPING = 9,      /* queue, reference of a list, entries */
    XENPV_NETIF_CTRL_DEL_GREF_MAPPING = 10,     /* the same -> entries removed */
    XENPV_NETIF_CTRL_COUNT
};

/* XEN_NETIF_CTRL_STATUS_* */
enum xenpv_netif_ctrl_status {
    XENPV_NETIF_CTRL_SUCCESS = 0,
    XENPV_NETIF_CTRL_NOT_SUPPORTED = 1,
    XENPV_NETIF_CTRL_INVALID_PARAMETER = 2,
    XENPV_NETIF_CTRL_BUFFER_OVERFLOW = 3,
};

struct xenpv_netif_ctrl_request {
    uint16_t id;
    uint16_t type; /* enum xenpv_netif_ctrl_type */
    uint32_t data[3];
};

struct xenpv_netif_ctrl_response {
    uint16_t id;
    uint16_t type;
    uint32_t status; /* enum xenpv_netif_ctrl_status */
    uint32_t data;
};

#define XENPV_NETIF_GREF_READONLY 1u   /* of ->flags */
#define XENPV_NETIF_GREF_ENTRY    8u   /* bytes of an entry */
#define XENPV_NETIF_GREF_ENTRIES  512u /* of a list, which is one page */

/* An entry of the list of ADD_GREF_MAPPING and DEL_GREF_MAPPING. */
struct xenpv_netif_gref {
    uint32_t ref;
    uint16_t flags;
    uint16_t status; /* enum xenpv_netif_ctrl_status, written back by the backend for DEL */
};

/* ---- the codec ------------------------------------------------------------------------------- */

/*
 * `slot` is a ring slot, or a private image of one, 4-aligned. put writes every byte of the
 * message, padding as zeroes, each word with one store, and reads nothing back; of a tx slot an
 * extra info takes all 12 bytes, a response the first 4, and of a control slot a response takes the
 * first 12. get loads each word of the message once. Any thread; none can fail.
 */
void xenpv_netif_put_tx_request(const struct xenpv_netif_tx_request *request, uint32_t *slot);
void xenpv_netif_get_tx_request(const uint32_t *slot, struct xenpv_netif_tx_request *request);
void xenpv_netif_put_tx_response(const struct xenpv_netif_tx_response *response, uint32_t *slot);
void xenpv_netif_get_tx_response(const uint32_t *slot, struct xenpv_netif_tx_response *response);
void xenpv_netif_put_rx_request(const struct xenpv_netif_rx_request *request, uint32_t *slot);
void xenpv_netif_get_rx_request(const uint32_t *slot, struct xenpv_netif_rx_request *request);
void xenpv_netif_put_rx_response(const struct xenpv_netif_rx_response *response, uint32_t *slot);
void xenpv_netif_get_rx_response(const uint32_t *slot, struct xenpv_netif_rx_response *response);
void xenpv_netif_put_tx_extra(const struct xenpv_netif_extra *extra, uint32_t *slot);
void xenpv_netif_put_rx_extra(const struct xenpv_netif_extra *extra, uint32_t *slot);
/* Of either ring. Of a type that is none of the above, `u` is zero. */
void xenpv_netif_get_extra(const uint32_t *slot, struct xenpv_netif_extra *extra);
void xenpv_netif_put_ctrl_request(const struct xenpv_netif_ctrl_request *request, uint32_t *slot);
void xenpv_netif_get_ctrl_request(const uint32_t *slot, struct xenpv_netif_ctrl_request *request);
void xenpv_netif_put_ctrl_response(const struct xenpv_netif_ctrl_response *response,
                                   uint32_t *slot);
void xenpv_netif_get_ctrl_response(const uint32_t *slot,
                                   struct xenpv_netif_ctrl_response *response);
void xenpv_netif_put_gref(const struct xenpv_netif_gref *gref, uint32_t *entry);
void xenpv_netif_get_gref(const uint32_t *entry, struct xenpv_netif_gref *gref);

#ifdef __cplusplus
}
#endif
#endif

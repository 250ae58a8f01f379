/* SPDX-License-Identifier: MIT */
/* A Linux TAP device; its packets have the header of virtio_net.h before them. */
#include "backend/offload.h"

#include <string.h>

#ifdef __linux__
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

struct tap {
    struct xenpv_allocator allocator;
    int fd;
    bool gone; /* somebody has deleted the device */
};

/* ---- from the frontend ----------------------------------------------------------------------- */

/* False: there is no place for a checksum in this frame. */
static bool describe(const struct xenpv_link_frame *frame, struct virtio_net_hdr *header)
{
    struct offload_headers headers;

    *header = (struct virtio_net_hdr){0};
    if (frame->checksum == XENPV_LINK_GOOD)
        header->flags = VIRTIO_NET_HDR_F_DATA_VALID;
    if (frame->checksum != XENPV_LINK_BLANK)
        return true;
    if (!offload_find(frame, &headers))
        return false;
    header->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    header->csum_start = (uint16_t)headers.transport;
    header->csum_offset = (uint16_t)(headers.checksum - headers.transport);
    if (frame->gso_type) {
        header->gso_type = frame->gso_type == XENPV_NETIF_GSO_TCPV4 ? VIRTIO_NET_HDR_GSO_TCPV4
                                                                    : VIRTIO_NET_HDR_GSO_TCPV6;
        header->gso_size = frame->gso_size;
        header->hdr_len = (uint16_t)headers.payload;
    }
    return true;
}

static int send_tap(void *ctx, const struct xenpv_link_frame *frame)
{
    int fd = ((struct tap *)ctx)->fd;
    struct virtio_net_hdr header;
    struct iovec parts[2] = {{&header, sizeof(header)}, {frame->data, frame->bytes}};
    ssize_t put;

    if (!describe(frame, &header))
        return XENPV_EIO;
    do
        put = writev(fd, parts, 2);
    while (put < 0 && errno == EINTR);
    if (put >= 0)
        return XENPV_OK;
    return errno == EAGAIN ? XENPV_EFULL : errno == EINVAL ? XENPV_E2BIG : XENPV_EIO;
}

/* ---- for the frontend ------------------------------------------------------------------------ */

/* The kernel leaves blank whatever is a sum, within another packet, too; netif.h knows that of the
 * TCP or UDP right behind IP. */
static void complete_other(struct xenpv_link_frame *frame, const struct virtio_net_hdr *header)
{
    uint32_t at = (uint32_t)header->csum_start + header->csum_offset, sum = 0;

    frame->checksum = XENPV_LINK_AS_IS;
    if (at + 2 > frame->bytes)
        return;
    for (uint32_t i = header->csum_start; i < frame->bytes; i++)
        sum += (uint32_t)frame->data[i] << ((i - header->csum_start) & 1 ? 0 : 8);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    frame->data[at] = (uint8_t)(~sum >> 8);
    frame->data[at + 1] = (uint8_t)~sum;
}

static void take_header(struct xenpv_link_frame *frame, const struct virtio_net_hdr *header)
{
    uint32_t gso = header->gso_type & ~(uint32_t)VIRTIO_NET_HDR_GSO_ECN;
    struct offload_headers headers;

    if (header->flags & VIRTIO_NET_HDR_F_DATA_VALID)
        frame->checksum = XENPV_LINK_GOOD;
    if (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
        frame->checksum = XENPV_LINK_BLANK;
    if (gso == VIRTIO_NET_HDR_GSO_TCPV4 || gso == VIRTIO_NET_HDR_GSO_TCPV6) {
        frame->gso_type =
            gso == VIRTIO_NET_HDR_GSO_TCPV4 ? XENPV_NETIF_GSO_TCPV4 : XENPV_NETIF_GSO_TCPV6;
        frame->gso_size = header->gso_size;
    } else if (frame->checksum == XENPV_LINK_BLANK &&
               (!offload_find(frame, &headers) || headers.transport != header->csum_start)) {
        complete_other(frame, header);
    }
}

static int receive_tap(void *ctx, struct xenpv_link_frame *frame)
{
    struct tap *tap = ctx;
    struct virtio_net_hdr header;
    char more; /* what comes here shows that the frame does not fit */
    struct iovec parts[3] = {
        {&header, sizeof(header)}, {frame->data, XENPV_LINK_FRAME_MAX}, {&more, 1}};
    ssize_t got, most = (ssize_t)sizeof(header) + XENPV_LINK_FRAME_MAX;

    do
        got = readv(tap->fd, parts, 3);
    while (got > most || (got < 0 && errno == EINTR));
    tap->gone = got < 0 && errno == EBADFD;
    if (got < (ssize_t)sizeof(header) + 14)
        return XENPV_ENOENT;
    frame->bytes = (uint32_t)got - (uint32_t)sizeof(header);
    take_header(frame, &header);
    return XENPV_OK;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* The descriptor of a device that is gone is readable for ever, and nothing comes of it. */
static xenpv_handle tap_handle(void *ctx)
{
    const struct tap *tap = ctx;

    return tap->gone ? XENPV_NO_HANDLE : tap->fd;
}

static bool tap_carrier(void *ctx)
{
    return !((struct tap *)ctx)->gone;
}

static void close_tap(void *ctx)
{
    struct tap *tap = ctx;

    close(tap->fd);
    tap->allocator.free(tap->allocator.ctx, tap);
}

static int error_of(int number)
{
    switch (number) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
        return XENPV_ENOENT;
    case EBUSY:
        return XENPV_EBUSY;
    case EINVAL:
        return XENPV_EINVAL;
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        return XENPV_ENOMEM;
    default:
        return XENPV_EACCES;
    }
}

static int open_tap(const char *name, int *fd)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int header = sizeof(struct virtio_net_hdr);
    unsigned int offload = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;

    memcpy(request.ifr_name, name, strlen(name));
    *fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (*fd < 0)
        return error_of(errno);
    /* A device that was there already keeps what another program has set. */
    if (ioctl(*fd, TUNSETIFF, &request) == 0 && ioctl(*fd, TUNSETVNETHDRSZ, &header) == 0 &&
        ioctl(*fd, TUNSETOFFLOAD, offload) == 0)
        return XENPV_OK;
    int error = error_of(errno);

    close(*fd);
    return error;
}

int xenpv_link_tap(const struct xenpv_allocator *allocator, const char *name,
                   struct xenpv_link *link)
{
    struct tap *tap;
    int fd, error;

    if (!*name || strlen(name) >= IFNAMSIZ)
        return XENPV_EINVAL;
    error = open_tap(name, &fd);
    if (error)
        return error;
    tap = allocator->alloc(allocator->ctx, sizeof(*tap), sizeof(void *));
    if (!tap) {
        close(fd);
        return XENPV_ENOMEM;
    }
    *tap = (struct tap){.allocator = *allocator, .fd = fd};
    *link = (struct xenpv_link){.ctx = tap,
                                .takes = XENPV_LINK_TAKES_BLANK | XENPV_LINK_TAKES_GSO,
                                .send = send_tap,
                                .receive = receive_tap,
                                .carrier = tap_carrier,
                                .wait_handle = tap_handle,
                                .close = close_tap};
    return XENPV_OK;
}
#else
int xenpv_link_tap(const struct xenpv_allocator *allocator, const char *name,
                   struct xenpv_link *link)
{
    (void)allocator;
    (void)name;
    (void)link;
    return XENPV_ENOTSUP;
}
#endif

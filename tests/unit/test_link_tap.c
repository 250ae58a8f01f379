/* SPDX-License-Identifier: MIT */
/*
 * The TAP link, where a TAP device can be made: only root can, for anybody else it is said to be
 * skipped. The kernel's side of it is a packet socket.
 */
#include "netback_rig.h"

#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static struct strict_heap heap;
static struct xenpv_allocator allocator;
static uint8_t bytes[XENPV_LINK_FRAME_MAX], room[XENPV_LINK_FRAME_MAX];

static int set_up(void **state)
{
    (void)state;
    heap = (struct strict_heap){0};
    allocator = strict_allocator(&heap);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return heap.blocks != 0;
}

/* Takes the next frame; its bytes, 0: there is none. */
static uint32_t take(struct xenpv_link *link, struct xenpv_link_frame *frame)
{
    *frame = (struct xenpv_link_frame){.data = room};
    return link->receive(link->ctx, frame) == XENPV_OK ? frame->bytes : 0;
}

#define TAP "xenpvtest0"

static int control_socket;

static bool set_up_tap(struct xenpv_link *link)
{
    struct ifreq request = {.ifr_flags = IFF_UP};

    if (xenpv_link_tap(&allocator, TAP, link) != XENPV_OK)
        return false;
    memcpy(request.ifr_name, TAP, sizeof(TAP));
    control_socket = socket(AF_INET, SOCK_DGRAM, 0);
    assert_true(control_socket >= 0);
    assert_int_equal(ioctl(control_socket, SIOCSIFFLAGS, &request), 0);
    return true;
}

/*
 * A frame that the kernel is given comes out of a packet socket as it was, and the other way round.
 * Only root can make a TAP device: for anybody else this is said to be skipped.
 */
static void test_tap(void **state)
{
    struct ifreq request = {0};
    struct xenpv_link link;
    struct xenpv_link_frame frame = {.data = bytes, .checksum = XENPV_LINK_BLANK};
    struct nb_ip ip = {.payload = 8000, .seed = 3};
    uint16_t all = 0x0300; /* ETH_P_ALL on the wire */
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_halen = 6};
    struct xenpv_link_frame taken;
    int packets;

    (void)state;
    assert_int_equal(xenpv_link_tap(&allocator, "", &link), XENPV_EINVAL);
    assert_int_equal(xenpv_link_tap(&allocator, "a-name-of-sixtee", &link), XENPV_EINVAL);
    if (!set_up_tap(&link)) {
        print_message("no TAP device can be made here\n");
        skip();
    }
    memcpy(request.ifr_name, TAP, sizeof(TAP));
    packets = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, all);
    assert_true(packets >= 0);
    /* From the frontend to the kernel: small and whole, blank, large. */
    for (uint32_t i = 0; i < 3; i++) {
        ssize_t got;

        ip.payload = i == 2 ? 8000 : 400;
        frame.bytes = nb_make_ip(bytes, &ip);
        frame.checksum = i ? XENPV_LINK_BLANK : XENPV_LINK_AS_IS;
        frame.gso_type = i == 2 ? XENPV_NETIF_GSO_TCPV4 : XENPV_NETIF_GSO_NONE;
        frame.gso_size = i == 2 ? 1400 : 0;
        assert_int_equal(link.send(link.ctx, &frame), XENPV_OK);
        do
            got = recv(packets, room, sizeof(room), 0);
        while (got >= 0 && ((uint32_t)got != frame.bytes || memcmp(room, bytes, 12) != 0));
        assert_int_equal(got, frame.bytes);
        assert_memory_equal(room + 60, bytes + 60, frame.bytes - 60);
    }
    /* From the kernel to the frontend. */
    frame.bytes = nb_make_ip(bytes, &(struct nb_ip){.udp = true, .payload = 777});
    assert_int_equal(ioctl(control_socket, SIOCGIFINDEX, &request), 0);
    address.sll_ifindex = request.ifr_ifindex;
    assert_int_equal(sendto(packets, bytes, frame.bytes, 0, (struct sockaddr *)(void *)&address,
                            sizeof(address)),
                     frame.bytes);
    do
        assert_true(take(&link, &taken) > 0); /* the kernel may send something of its own before */
    while (taken.bytes != frame.bytes);
    assert_memory_equal(taken.data, bytes, frame.bytes);
    assert_int_equal(taken.checksum, XENPV_LINK_AS_IS);
    /* A blank checksum that has no place is refused. */
    memset(bytes, 2, 60);
    assert_int_equal(link.send(link.ctx, &(struct xenpv_link_frame){.data = bytes,
                                                                    .bytes = 60,
                                                                    .checksum = XENPV_LINK_BLANK}),
                     XENPV_EIO);
    close(packets);
    close(control_socket);
    assert_true(link.wait_handle(link.ctx) >= 0);
    link.close(link.ctx);
}

/* ---- offloads -------------------------------------------------------------------------------- */

#define ALL_FRAMES 0x0300 /* ETH_P_ALL on the wire */

/* A socket whose frames have the header of virtio_net.h before them, as those of a TAP device. */
static int open_packets(void)
{
    struct ifreq request = {0};
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = ALL_FRAMES};
    int packets = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, ALL_FRAMES), one = 1;

    assert_true(packets >= 0);
    memcpy(request.ifr_name, TAP, sizeof(TAP));
    assert_int_equal(ioctl(packets, SIOCGIFINDEX, &request), 0);
    address.sll_ifindex = request.ifr_ifindex;
    assert_int_equal(bind(packets, (struct sockaddr *)(void *)&address, sizeof(address)), 0);
    assert_int_equal(setsockopt(packets, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)), 0);
    return packets;
}

struct packet {
    struct virtio_net_hdr header;
    uint8_t data[XENPV_LINK_FRAME_MAX];
};
static struct packet packet;

struct kind {
    struct nb_ip ip;
    uint8_t gso, virtio;
};

static const struct kind kinds[] = {
    {{.payload = 300}, 0, 0},
    {{.payload = 300, .udp = true}, 0, 0},
    {{.payload = 300, .ipv6 = true}, 0, 0},
    {{.payload = 300, .ipv6 = true, .udp = true}, 0, 0},
    {{.payload = 300, .tags = 1}, 0, 0},
    {{.payload = 8000}, XENPV_NETIF_GSO_TCPV4, VIRTIO_NET_HDR_GSO_TCPV4},
    {{.payload = 8000, .ipv6 = true}, XENPV_NETIF_GSO_TCPV6, VIRTIO_NET_HDR_GSO_TCPV6},
    {{.payload = 60000, .options = 12}, XENPV_NETIF_GSO_TCPV4, VIRTIO_NET_HDR_GSO_TCPV4},
    {{.payload = 60000, .ipv6 = true}, XENPV_NETIF_GSO_TCPV6, VIRTIO_NET_HDR_GSO_TCPV6},
};

static void expect_from_frontend(struct xenpv_link *link, int packets, const struct kind *kind)
{
    uint32_t count = nb_make_ip(bytes, &kind->ip), transport = nb_transport(bytes);
    struct xenpv_link_frame frame = {.data = bytes,
                                     .bytes = count,
                                     .checksum = XENPV_LINK_BLANK,
                                     .gso_type = kind->gso,
                                     .gso_size = kind->gso ? 1400 : 0};
    ssize_t got;

    assert_int_equal(link->send(link->ctx, &frame), XENPV_OK);
    /* The kernel may have something of its own to say, too. */
    do
        got = recv(packets, &packet, sizeof(packet), 0);
    while (got >= 12 && memcmp(packet.data, bytes, 12) != 0);
    /* A tag stands beside what a packet socket gives, not in it. */
    transport -= 4 * kind->ip.tags;
    count -= 4 * kind->ip.tags;
    assert_int_equal(got, sizeof(packet.header) + count);
    assert_memory_equal(packet.data + transport + 20, nb_transport(bytes) + bytes + 20, 200);
    assert_int_equal(packet.header.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    assert_int_equal(packet.header.csum_start, transport);
    assert_int_equal(packet.header.csum_offset, kind->ip.udp ? 6 : 16);
    assert_int_equal(packet.header.gso_type & ~VIRTIO_NET_HDR_GSO_ECN, kind->virtio);
    assert_int_equal(packet.header.gso_size, kind->gso ? 1400 : 0);
}

/* The kernel's frame, and what of it has come. */
static void give(struct xenpv_link *link, int packets, uint32_t count,
                 struct xenpv_link_frame *frame)
{
    memcpy(packet.data, bytes, count);
    assert_int_equal(send(packets, &packet, sizeof(packet.header) + count, 0),
                     sizeof(packet.header) + count);
    do
        assert_true(take(link, frame) > 0);
    while (memcmp(frame->data, bytes, 12) != 0);
    assert_int_equal(frame->bytes, count);
}

static void expect_from_kernel(struct xenpv_link *link, int packets, const struct kind *kind)
{
    uint32_t count = nb_make_ip(bytes, &kind->ip), transport = nb_transport(bytes);
    struct xenpv_link_frame frame;

    packet.header = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                            .gso_type = kind->virtio,
                                            .gso_size = kind->gso ? 1400 : 0,
                                            .hdr_len = (uint16_t)(count - kind->ip.payload),
                                            .csum_start = (uint16_t)transport,
                                            .csum_offset = kind->ip.udp ? 6 : 16};
    give(link, packets, count, &frame);
    assert_memory_equal(frame.data + transport + 20, bytes + transport + 20, 200);
    assert_int_equal(frame.checksum, XENPV_LINK_BLANK);
    assert_int_equal(frame.gso_type, kind->gso);
    assert_int_equal(frame.gso_size, kind->gso ? 1400 : 0);
}

static void test_tap_offloads(void **state)
{
    struct xenpv_link link;
    int packets;

    (void)state;
    if (!set_up_tap(&link))
        skip();
    packets = open_packets();
    for (size_t i = 0; i < COUNT(kinds); i++) {
        expect_from_frontend(&link, packets, &kinds[i]);
        expect_from_kernel(&link, packets, &kinds[i]);
    }
    close(packets);
    close(control_socket);
    link.close(link.ctx);
}

/* A checksum that is blank in a packet within the packet is made here: netif.h has no word for it.
 */
static void test_tap_inner_checksum(void **state)
{
    struct nb_ip outer = {.udp = true, .payload = 400}, inner = {.payload = 300};
    uint32_t count = nb_make_ip(bytes, &outer), at = count - 400, bytes_inside, start;
    struct xenpv_link_frame frame;
    struct xenpv_link link;
    int packets;

    (void)state;
    if (!set_up_tap(&link))
        skip();
    packets = open_packets();
    bytes_inside = nb_make_ip(bytes + at, &inner);
    start = at + nb_transport(bytes + at);
    packet.header = (struct virtio_net_hdr){
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = (uint16_t)start, .csum_offset = 16};
    /* What is there is the sum of the pseudo header. */
    bytes[start + 16] = bytes[start + 17] = 0;
    give(&link, packets, count, &frame);
    assert_int_equal(frame.checksum, XENPV_LINK_AS_IS);
    assert_memory_equal(frame.data, bytes, start + 16);
    assert_memory_not_equal(frame.data + start + 16, bytes + start + 16, 2);
    assert_memory_equal(frame.data + start + 18, bytes + start + 18, bytes_inside - 100);
    close(packets);
    close(control_socket);
    link.close(link.ctx);
}

/* A device that is there already was another program's, which had a longer header. */
static void test_tap_of_another(void **state)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int fd = open("/dev/net/tun", O_RDWR), twelve = 12, packets;
    struct xenpv_link link;

    (void)state;
    memcpy(request.ifr_name, TAP, sizeof(TAP));
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) != 0)
        skip();
    assert_int_equal(ioctl(fd, TUNSETVNETHDRSZ, &twelve), 0);
    assert_int_equal(ioctl(fd, TUNSETPERSIST, 1), 0);
    close(fd);
    assert_true(set_up_tap(&link));
    packets = open_packets();
    expect_from_frontend(&link, packets, &kinds[0]);
    expect_from_kernel(&link, packets, &kinds[0]);
    close(packets);
    close(control_socket);
    link.close(link.ctx);
    fd = open("/dev/net/tun", O_RDWR);
    assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
    assert_int_equal(ioctl(fd, TUNSETPERSIST, 0), 0);
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void delete_device(void)
{
    struct {
        struct nlmsghdr header;
        struct ifinfomsg link;
    } message = {.header = {.nlmsg_len = sizeof(message),
                            .nlmsg_type = RTM_DELLINK,
                            .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
                 .link = {.ifi_index = (int)if_nametoindex(TAP)}};
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
    } answer;
    int netlink = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

    assert_true(netlink >= 0 && message.link.ifi_index > 0);
    assert_int_equal(send(netlink, &message, sizeof(message), 0), sizeof(message));
    assert_true(recv(netlink, &answer, sizeof(answer), 0) > 0);
    assert_int_equal(answer.header.nlmsg_type, NLMSG_ERROR);
    assert_int_equal(answer.error.error, 0);
    close(netlink);
}

/* A device that somebody deletes has no carrier any more, and wakes nobody for ever. */
static void test_tap_deleted(void **state)
{
    struct xenpv_link_frame frame;
    struct xenpv_link link;

    (void)state;
    if (!set_up_tap(&link))
        skip();
    while (take(&link, &frame))
        ;
    assert_true(link.carrier(link.ctx));
    assert_true(link.wait_handle(link.ctx) >= 0);
    delete_device();
    assert_int_equal(take(&link, &frame), 0);
    assert_false(link.carrier(link.ctx));
    assert_int_equal(link.wait_handle(link.ctx), XENPV_NO_HANDLE);
    nb_make_ip(bytes, &(struct nb_ip){.payload = 100});
    assert_int_equal(link.send(link.ctx, &(struct xenpv_link_frame){.data = bytes, .bytes = 154}),
                     XENPV_EIO);
    close(control_socket);
    link.close(link.ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_tap),
        TEST(test_tap_offloads),
        TEST(test_tap_inner_checksum),
        TEST(test_tap_of_another),
        TEST(test_tap_deleted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

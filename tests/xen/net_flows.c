/* SPDX-License-Identifier: MIT */
/*
 * usage: net_flows VIF-NUMBER FIFO QUEUES [filter]
 *
 * Connects a vif of this domain and does what lines from FIFO (which is there already) say; each is
 * answered by a line on standard output. "filter": the backend is to filter multicast from the
 * beginning. What arrives is told, too: TCP with its queue, its hash, and whether queue and hash
 * are what they should be; multicast with its address.
 *
 *   algorithm N, flags N, key N, size N       control messages that set; key: the first N bytes of
 *                                             the library's own
 *   map FIRST QUEUE...                        entries of the mapping, from FIRST on
 *   supported, entries, grants QUEUE          control messages that ask
 *   multicast add|del MAC; filter on|off      of the backend's filter
 *   announce QUEUE HASH                       sends a gratuitous ARP with that hash
 *   quit                                      closes and ends: 0 if that went as asked
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xenpv/flow.h>
#include <xenpv/linux.h>
#include <xenpv/net.h>

enum { QUEUES_MAX = 8, ENTRIES_MAX = 1024, WORDS_MAX = 130, FRAME_HEAD = 128 };

struct flows {
    uint32_t id, queues;
    int fifo;
    struct xenpv_linux *linux;
    struct xenpv_linux_claim *claim;
    struct xenpv_port port;
    struct xenpv_net *net;
    /* As was set with SUCCESS. */
    uint32_t algorithm, flags, key_bytes, entries, mapping[ENTRIES_MAX];
    struct xenpv_netctl_request asked; /* the message that is under way */
    bool closing;
};

/* What a completion is of. */
static char an_announcement[] = "announce", a_change[] = "multicast";

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "net_flows: %s: %s\n", what, why);
    exit(2);
}

static uint32_t number(const char *text)
{
    return text ? (uint32_t)strtoul(text, NULL, 0) : 0;
}

static void open_device(struct flows *flows, bool filter)
{
    struct xenpv_linux_error error = {""};
    struct xenpv_net_config config;
    char path[64];
    void *memory;

    if (xenpv_linux_open(&flows->linux, &flows->port, &error))
        die("Xen", error.text);
    if (xenpv_linux_claim("vif", flows->id, false, 0, &flows->claim, &error))
        die("vif", error.text);
    snprintf(path, sizeof(path), "device/vif/%u", flows->id);
    xenpv_net_config_init(&config, &flows->port, path);
    config.queues = flows->queues;
    config.multicast = filter;
    memory = aligned_alloc(16, (xenpv_net_size(&config) + 15) & ~(size_t)15);
    if (!memory || xenpv_net_init(memory, &config, &flows->net))
        die(path, "no memory");
    xenpv_net_connect(flows->net, xenpv_linux_now());
}

/* ---------------------------------------------------------------------------------- commands -- */

static const struct {
    const char *name;
    enum xenpv_netif_ctrl_type type;
} messages[] = {
    {"algorithm", XENPV_NETIF_CTRL_SET_HASH_ALGORITHM},
    {"flags", XENPV_NETIF_CTRL_SET_HASH_FLAGS},
    {"key", XENPV_NETIF_CTRL_SET_HASH_KEY},
    {"size", XENPV_NETIF_CTRL_SET_HASH_MAPPING_SIZE},
    {"map", XENPV_NETIF_CTRL_SET_HASH_MAPPING},
    {"supported", XENPV_NETIF_CTRL_GET_HASH_FLAGS},
    {"entries", XENPV_NETIF_CTRL_GET_HASH_MAPPING_SIZE},
    {"grants", XENPV_NETIF_CTRL_GET_GREF_MAPPING_SIZE},
};

static int send_message(struct flows *flows, enum xenpv_netif_ctrl_type type, char **words,
                        uint32_t count)
{
    static uint32_t entries[WORDS_MAX];
    struct xenpv_netctl_request *request = &flows->asked;

    *request = (struct xenpv_netctl_request){.type = (uint16_t)type, .number = number(words[1])};
    if (type == XENPV_NETIF_CTRL_SET_HASH_KEY) {
        request->data = xenpv_flow_key;
        request->count = request->number < XENPV_FLOW_KEY ? request->number : XENPV_FLOW_KEY;
    } else if (type == XENPV_NETIF_CTRL_SET_HASH_MAPPING) {
        request->first = request->number;
        request->count = count - 2;
        for (uint32_t i = 0; i < request->count; i++)
            entries[i] = number(words[2 + i]);
        request->data = entries;
    }
    return xenpv_netctl_send(flows->net, request, xenpv_linux_now());
}

static int send_announcement(struct flows *flows, char **words)
{
    static const uint8_t address[4] = {10, 77, 0, 2};
    struct xenpv_netq *q = xenpv_net_queue(flows->net, number(words[1]));
    uint8_t frame[XENPV_NET_ANNOUNCE_MAX];
    struct xenpv_iov iov = {frame, 0};
    struct xenpv_net_packet packet = {.iov = &iov, .count = 1};
    struct xenpv_net_info info;
    int rc;

    xenpv_net_info(flows->net, &info);
    iov.length = xenpv_net_announce_ipv4(frame, info.mac, address);
    packet.offload.hashed = true;
    packet.offload.hash_type = XENPV_NETIF_HASH_IPV4;
    packet.offload.hash_algorithm = XENPV_NETIF_ALGORITHM_TOEPLITZ;
    packet.offload.hash = number(words[2]);
    rc = q ? xenpv_netq_send(q, &packet, an_announcement) : XENPV_EINVAL;
    if (rc == 0)
        xenpv_netq_submit(q);
    return rc;
}

static int send_multicast(struct flows *flows, char **words)
{
    struct xenpv_netq *q = xenpv_net_queue(flows->net, 0);
    uint8_t mac[6];
    int rc;

    if (!words[1] || !words[2] || !xenpv_parse_mac(words[2], mac))
        return XENPV_EINVAL;
    rc = xenpv_netq_multicast(q, mac, strcmp(words[1], "add") == 0, a_change);
    if (rc == 0)
        xenpv_netq_submit(q);
    return rc;
}

/* What is not answered here is answered when it has ended. */
static void command(struct flows *flows, char **words, uint32_t count)
{
    int rc = XENPV_EINVAL;

    for (uint32_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        if (strcmp(words[0], messages[i].name) == 0 &&
            (rc = send_message(flows, messages[i].type, words, count)) == 0)
            return;
    }
    if (strcmp(words[0], "announce") == 0 && (rc = send_announcement(flows, words)) == 0)
        return;
    if (strcmp(words[0], "multicast") == 0 && (rc = send_multicast(flows, words)) == 0)
        return;
    if (strcmp(words[0], "filter") == 0)
        rc = xenpv_net_set_multicast(flows->net, words[1] && strcmp(words[1], "on") == 0);
    if (strcmp(words[0], "headroom") == 0)
        rc = xenpv_net_set_headroom(flows->net, number(words[1]));
    if (strcmp(words[0], "quit") == 0) {
        xenpv_net_close(flows->net, xenpv_linux_now());
        flows->closing = true;
        return;
    }
    printf("%s: %s\n", words[0], rc ? xenpv_error_name(rc) : "done");
}

static void obey(struct flows *flows)
{
    char text[4096], *line_rest = NULL;
    ssize_t got = read(flows->fifo, text, sizeof(text) - 1);

    if (got <= 0)
        return;
    text[got] = '\0';
    for (char *line = strtok_r(text, "\n", &line_rest); line;
         line = strtok_r(NULL, "\n", &line_rest)) {
        char *words[WORDS_MAX] = {NULL}, *rest = NULL;
        uint32_t count = 0;

        for (char *word = strtok_r(line, " ", &rest); word && count < WORDS_MAX - 1;
             word = strtok_r(NULL, " ", &rest))
            words[count++] = word;
        if (count)
            command(flows, words, count);
    }
}

/* ----------------------------------------------------------------------------------- answers -- */

/* What holds from now on, for judging what arrives. */
static void remember(struct flows *flows)
{
    const struct xenpv_netctl_request *asked = &flows->asked;

    switch (asked->type) {
    case XENPV_NETIF_CTRL_SET_HASH_ALGORITHM:
        flows->algorithm = asked->number;
        break;
    case XENPV_NETIF_CTRL_SET_HASH_FLAGS:
        flows->flags = asked->number;
        break;
    case XENPV_NETIF_CTRL_SET_HASH_KEY:
        flows->key_bytes = asked->count;
        break;
    case XENPV_NETIF_CTRL_SET_HASH_MAPPING_SIZE:
        flows->entries = asked->number < ENTRIES_MAX ? asked->number : ENTRIES_MAX;
        memset(flows->mapping, 0, sizeof(flows->mapping));
        break;
    case XENPV_NETIF_CTRL_SET_HASH_MAPPING:
        for (uint32_t i = 0; i < asked->count && asked->first + i < ENTRIES_MAX; i++)
            flows->mapping[asked->first + i] = ((const uint32_t *)asked->data)[i];
        break;
    default:
        break;
    }
}

static void take_answers(struct flows *flows)
{
    struct xenpv_netctl_reply reply;

    while (xenpv_netctl_poll(flows->net, &reply, 1)) {
        const char *name = "message";

        for (uint32_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
            if (messages[i].type == reply.type)
                name = messages[i].name;
        if (reply.status)
            printf("%s: %s\n", name, xenpv_error_name(reply.status));
        else
            printf("%s: SUCCESS %u\n", name, reply.data);
        if (reply.status == 0)
            remember(flows);
    }
}

static void tell_tcp(const struct flows *flows, uint32_t queue, const uint8_t *head, size_t bytes,
                     const struct xenpv_net_offload *offload)
{
    uint32_t hash, expected;
    uint8_t type;

    hash = xenpv_flow_hash(head, bytes, flows->flags, xenpv_flow_key, flows->key_bytes, &type);
    expected = flows->entries ? flows->mapping[hash % flows->entries] : hash % flows->queues;
    printf("tcp %u > %u: queue %u %s, hash %s\n", (unsigned)(head[34] << 8 | head[35]),
           (unsigned)(head[36] << 8 | head[37]), queue,
           !flows->algorithm || expected == queue ? "as mapped" : "is not what was mapped",
           !offload->hashed                                      ? "none"
           : offload->hash == hash && offload->hash_type == type ? "right"
                                                                 : "wrong");
}

static void tell_frame(const struct flows *flows, uint32_t queue,
                       const struct xenpv_net_frame *frame)
{
    uint8_t head[FRAME_HEAD] = {0};
    size_t bytes = frame->fragment[0].length;

    if (bytes > sizeof(head))
        bytes = sizeof(head);
    memcpy(head, frame->fragment[0].base, bytes);
    printf("frame at %u of its page\n",
           (unsigned)((uintptr_t)frame->fragment[0].base % XENPV_PAGE_SIZE));
    if ((head[0] & 1) && head[0] != 0xff)
        printf("multicast %02x:%02x:%02x:%02x:%02x:%02x\n", head[0], head[1], head[2], head[3],
               head[4], head[5]);
    else if (head[12] == 8 && head[13] == 0 && head[14] == 0x45 && head[23] == 6)
        tell_tcp(flows, queue, head, bytes, &frame->offload);
}

static void serve_queue(const struct flows *flows, uint32_t number_of_it)
{
    struct xenpv_netq *q = xenpv_net_queue(flows->net, number_of_it);
    struct xenpv_completion ended;
    struct xenpv_net_frame frame;

    while (xenpv_netq_poll(q, &ended, 1) == 1)
        printf("%s: %s\n", (const char *)ended.user,
               ended.status ? xenpv_error_name(ended.status) : "done");
    while (xenpv_netq_receive(q, &frame, 1) == 1) {
        tell_frame(flows, number_of_it, &frame);
        xenpv_netq_return(q, &frame);
    }
}

/* --------------------------------------------------------------------------------------- run -- */

static void wait(struct flows *flows)
{
    struct pollfd fds[3 + 2 * QUEUES_MAX];
    uint64_t now = xenpv_linux_now(), deadline = xenpv_net_deadline(flows->net);
    uint32_t count = 0;
    bool ready = false;

    fds[count++] = (struct pollfd){(int)flows->port.store->wait_handle(flows->port.ctx), POLLIN, 0};
    fds[count++] = (struct pollfd){flows->fifo, POLLIN, 0};
    fds[count++] = (struct pollfd){(int)xenpv_netctl_wait_handle(flows->net), POLLIN, 0};
    for (uint32_t i = 0; i < flows->queues; i++) {
        struct xenpv_netq *q = xenpv_net_queue(flows->net, i);

        ready |= xenpv_net_state(flows->net) == XENPV_NET_CONNECTED &&
                 xenpv_netq_arm(q, XENPV_NET_TX | XENPV_NET_RX) != 0;
        fds[count++] = (struct pollfd){(int)xenpv_netq_wait_handle(q, XENPV_NET_TX), POLLIN, 0};
        fds[count++] = (struct pollfd){(int)xenpv_netq_wait_handle(q, XENPV_NET_RX), POLLIN, 0};
    }
    if (ready || deadline <= now)
        poll(fds, count, 0);
    else
        poll(fds, count, deadline - now < 1000 ? (int)(deadline - now) : 1000);
    if (fds[1].revents && xenpv_net_state(flows->net) == XENPV_NET_CONNECTED)
        obey(flows);
}

static void tell_state(struct flows *flows, enum xenpv_net_state state)
{
    static enum xenpv_net_state told = XENPV_NET_IDLE;
    struct xenpv_net_info info;

    if (state == told)
        return;
    told = state;
    if (state != XENPV_NET_CONNECTED)
        return;
    xenpv_net_info(flows->net, &info);
    flows->queues = info.queues;
    printf("connected: %u queues, features %04x\n", info.queues, info.features);
}

int main(int argc, char **argv)
{
    static struct flows flows;
    enum xenpv_net_state state;

    if (argc < 4)
        die("usage", "net_flows VIF-NUMBER FIFO QUEUES [filter]");
    setvbuf(stdout, NULL, _IOLBF, 0);
    flows.id = number(argv[1]);
    flows.queues = number(argv[3]);
    if (flows.queues < 1 || flows.queues > QUEUES_MAX)
        die("queues", "1 to 8");
    flows.fifo = open(argv[2], O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (flows.fifo < 0)
        die(argv[2], strerror(errno));
    open_device(&flows, argc > 4 && strcmp(argv[4], "filter") == 0);
    for (;;) {
        state = xenpv_net_step(flows.net, xenpv_linux_now());
        tell_state(&flows, state);
        for (uint32_t i = 0; i < flows.queues; i++)
            serve_queue(&flows, i);
        take_answers(&flows);
        if (state == XENPV_NET_CLOSED || state == XENPV_NET_FAILED)
            break;
        wait(&flows);
    }
    printf("%s\n", state == XENPV_NET_CLOSED
                       ? "closed"
                       : xenpv_error_name(xenpv_net_detail(flows.net)->error));
    xenpv_linux_release(flows.claim);
    xenpv_linux_close(flows.linux);
    return state == XENPV_NET_CLOSED && flows.closing ? 0 : 1;
}

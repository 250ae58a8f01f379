/* SPDX-License-Identifier: MIT */
/* xenpv net recv: what arrives, as lines or into a file. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cmd_net.h"
#include "complain.h"
#include "json.h"
#include "mock_net.h"
#include "os_thread.h"
#include "packet.h"
#include "progress.h"
#include "wire.h"

struct recv {
    const struct options *options;
    struct vif *vif;
    struct xenpv_link file;
    bool open;
    bool piped; /* the file is standard output */
    int error;  /* errno when the file took no more */
    uint64_t began_ns;
    struct net_tally tally;
};

static const char *const checksum_names[] = {
    [XENPV_NET_CSUM_AS_IS] = "as it is",
    [XENPV_NET_CSUM_GOOD] = "good",
    [XENPV_NET_CSUM_BLANK] = "blank",
};

/* ------------------------------------------------------------------------------------- frames -- */

static void write_frame(struct recv *recv, const struct vif_frame *frame)
{
    const struct xenpv_net_offload *offload = &frame->offload;
    struct xenpv_link_frame out = {.data = recv->vif->frame, .bytes = frame->bytes};

    if (offload->checksum == XENPV_NET_CSUM_BLANK)
        out.checksum = XENPV_LINK_BLANK;
    if (offload->mss)
        out.gso_type = offload->ipv6 ? XENPV_NETIF_GSO_TCPV6 : XENPV_NETIF_GSO_TCPV4;
    out.gso_size = offload->mss;
    errno = 0;
    recv->file.send(recv->file.ctx, &out);
    if (wire_capture_failed(&recv->file))
        recv->error = errno ? errno : EIO;
}

/* Microseconds since it was connected. */
static uint64_t elapsed_us(const struct recv *recv)
{
    return (os_now_ns() - recv->began_ns) / 1000;
}

static void print_frame(const struct recv *recv, const struct vif_frame *frame)
{
    const struct xenpv_net_offload *offload = &frame->offload;
    uint64_t us = elapsed_us(recv);
    char text[PACKET_TEXT_MAX];

    packet_text(frame->data, frame->bytes, frame->bytes, text);
    printf("%" PRIu64 ".%06u %s", us / 1000000, (unsigned)(us % 1000000), text);
    if (offload->checksum != XENPV_NET_CSUM_AS_IS)
        printf(", checksum %s", checksum_names[offload->checksum]);
    if (offload->mss)
        printf(", segments of %u", offload->mss);
    if (offload->hashed)
        printf(", hash %08" PRIx32, offload->hash);
    printf("\n");
}

static void json_frame(const struct recv *recv, const struct vif_frame *frame)
{
    const struct xenpv_net_offload *offload = &frame->offload;
    char text[PACKET_TEXT_MAX];

    packet_text(frame->data, frame->bytes, frame->bytes, text);
    json_open(NULL, '{');
    json_decimal("seconds", (double)elapsed_us(recv) / 1e6, 6);
    json_number("bytes", frame->bytes);
    json_text("text", text);
    json_text("checksum", checksum_names[offload->checksum]);
    json_number("mss", offload->mss);
    if (offload->hashed)
        json_number("hash", offload->hash);
    json_close('}');
}

static void take(struct recv *recv, const struct vif_frame *frame)
{
    net_tally_add(&recv->tally, frame);
    if (recv->open)
        write_frame(recv, frame);
    else if (recv->options->json)
        json_frame(recv, frame);
    else
        print_frame(recv, frame);
}

/* ---------------------------------------------------------------------------------------- run -- */

static bool has_all(const struct recv *recv)
{
    return recv->options->count && recv->tally.frames == recv->options->count;
}

/* A file or reader that takes no more has no use for what follows. */
static bool has_failed(const struct recv *recv)
{
    return ferror(stdout) || recv->error;
}

static int run(struct recv *recv)
{
    struct vif *vif = recv->vif;
    uint64_t began = machine_now(vif->machine);
    uint32_t seconds = recv->options->duration_s;
    uint64_t end = seconds ? began + UINT64_C(1000) * seconds : UINT64_MAX;

    while (vif_step(vif)) {
        struct vif_frame frame;

        for (uint32_t i = 0;
             i < NET_ROUND && !has_all(recv) && !has_failed(recv) && vif_receive(vif, &frame); i++)
            take(recv, &frame);
        progress_show(recv->tally.bytes);
        if (has_all(recv) || os_stop_signal() || has_failed(recv) ||
            machine_now(vif->machine) >= end)
            return STATUS_DONE;
        fflush(stdout);
        net_wait(vif, XENPV_NET_RX, end);
    }
    return STATUS_FAILED;
}

static void print(const struct recv *recv)
{
    const struct net_tally *tally = &recv->tally;

    if (recv->piped)
        return;
    if (!recv->options->json) {
        printf("%" PRIu64 " frames, %" PRIu64 " bytes; %" PRIu64 " large packets, %" PRIu64
               " blank checksums\n",
               tally->frames, tally->bytes, tally->large, tally->blank);
        return;
    }
    if (!recv->open)
        json_close(']');
    json_number("received", tally->frames);
    json_number("bytes", tally->bytes);
    json_number("large_packets", tally->large);
    json_number("blank_checksums", tally->blank);
    json_close('}');
}

static int judge(const struct recv *recv, int status)
{
    if (status != STATUS_DONE || os_stop_signal())
        return status;
    if (recv->piped && recv->error == EPIPE)
        return STATUS_PIPE;
    if (recv->error)
        return complain(STATUS_ENVIRONMENT, "--pcap %s: cannot write to it: %s",
                        recv->options->pcap, strerror(recv->error));
    if (recv->options->count && !has_all(recv) && !ferror(stdout))
        return complain(STATUS_FAILED, "%s: %" PRIu64 " of %u frames came in %u seconds",
                        recv->vif->device.name, recv->tally.frames, recv->options->count,
                        recv->options->duration_s);
    return STATUS_DONE;
}

static int open_file(struct recv *recv)
{
    struct xenpv_link nowhere;

    if (net_is_of_the_mock(recv->options, mock_net_reads) ||
        net_is_of_the_mock(recv->options, mock_net_writes))
        return STATUS_USAGE;
    recv->piped = strcmp(recv->options->pcap, "-") == 0;
    if (xenpv_link_null(0, &nowhere) != 0)
        return complain(STATUS_ENVIRONMENT, "out of memory");
    return wire_open_capture("--pcap ", recv->options->pcap, &nowhere, &recv->file);
}

static int use(struct vif *vif, void *ctx)
{
    struct recv *recv = ctx;
    int status = STATUS_DONE;

    recv->vif = vif;
    if (recv->options->pcap) {
        status = open_file(recv);
        recv->open = status == STATUS_DONE;
    }
    if (status != STATUS_DONE)
        return status;
    recv->began_ns = os_now_ns();
    if (recv->options->json && !recv->piped) {
        json_open(NULL, '{');
        json_text("device", vif->device.name);
        if (!recv->open)
            json_open("frames", '[');
    }
    if (recv->open && !recv->piped)
        progress_begin(UINT64_MAX);
    status = run(recv);
    progress_clear();
    print(recv);
    status = judge(recv, status);
    if (recv->open)
        recv->file.close(recv->file.ctx);
    return status;
}

int net_recv(const struct options *options, int count, char **arguments)
{
    struct recv recv = {.options = options};

    (void)count;
    return net_run(options, arguments[0], use, &recv);
}

/* SPDX-License-Identifier: MIT */
/* xenpv net send: the frames of a file. */
#include <inttypes.h>

#include "cmd_net.h"
#include "complain.h"
#include "forward.h"
#include "json.h"
#include "mock_net.h"
#include "progress.h"
#include "wire.h"

struct send {
    const struct options *options;
    struct vif *vif;
    struct forward *forward;
    struct xenpv_link file;
    bool open, exhausted, blocked;
    int damaged;     /* the file: an exit status */
    uint32_t rounds; /* through the file that are over */
    uint64_t began;  /* ms */
    uint64_t frames, bytes, too_large, failed, left_out;
};

static void close_file(struct send *send)
{
    if (send->open)
        send->file.close(send->file.ctx);
    send->open = false;
}

static int open_file(struct send *send)
{
    int status = wire_open_replay("--pcap ", send->options->pcap, &send->file);

    send->open = status == STATUS_DONE;
    return status;
}

/* When the next frame is due. */
static uint64_t next_at(const struct send *send)
{
    uint32_t rate = send->options->rate;

    return rate ? send->began + send->frames * 1000 / rate : 0;
}

/* Begins anew with it, if that is wanted; one that is damaged fails in each round. */
static int end_file(struct send *send)
{
    uint32_t repeat = send->options->repeat ? send->options->repeat : 1;
    int status = wire_judge_replay("--pcap ", send->options->pcap, &send->file);

    send->left_out += wire_left_out(&send->file);
    close_file(send);
    send->exhausted = ++send->rounds == repeat || send->frames == 0 || status != STATUS_DONE;
    send->damaged = status;
    return send->exhausted ? STATUS_DONE : open_file(send);
}

/* Reads the next frame. STATUS_DONE, also when there is none any more. */
static int read_next(struct send *send)
{
    struct xenpv_link_frame *frame = forward_next(send->forward);

    if (send->file.receive(send->file.ctx, frame) != 0)
        return end_file(send);
    send->frames++;
    send->bytes += frame->bytes;
    send->too_large += forward_begin(send->forward) != 0;
    return STATUS_DONE;
}

/* As many frames as a round has, are due, and find room. */
static int send_some(struct send *send)
{
    int status = STATUS_DONE;

    send->blocked = false;
    for (uint32_t i = 0; i < NET_ROUND && status == STATUS_DONE && !send->blocked; i++) {
        int rc = forward_is_busy(send->forward) ? forward_go(send->forward) : 0;

        send->blocked = rc == XENPV_EFULL;
        send->failed += rc != 0 && rc != XENPV_EFULL;
        if (send->blocked || send->exhausted || machine_now(send->vif->machine) < next_at(send))
            break;
        status = read_next(send);
    }
    vif_submit(send->vif);
    return status;
}

/* Until a frame is due, or there is room, or the last ones have ended. */
static void wait(struct send *send)
{
    bool waits = send->blocked || send->exhausted;

    net_wait(send->vif, XENPV_NET_RX | (waits ? XENPV_NET_TX : 0u),
             waits ? UINT64_MAX : next_at(send));
}

static int run(struct send *send)
{
    struct vif *vif = send->vif;
    int status = STATUS_DONE;

    progress_begin(UINT64_MAX);
    while (vif_step(vif)) {
        struct vif_frame unwanted;

        if (vif_is_new(vif))
            forward_renew(send->forward);
        for (uint32_t i = 0; i < NET_ROUND && vif_receive(vif, &unwanted); i++)
            ;
        status = send_some(send);
        progress_show(send->bytes);
        if (status != STATUS_DONE || os_stop_signal())
            return status;
        if (send->exhausted && !forward_is_busy(send->forward) && vif_pending(vif) == 0)
            return STATUS_DONE;
        wait(send);
    }
    return STATUS_FAILED;
}

static void print(const struct send *send)
{
    if (!send->options->json) {
        printf("%" PRIu64 " frames read, %" PRIu64 " bytes; %" PRIu64 " sent, %" PRIu64
               " of them large packets\n",
               send->frames, send->bytes, forward_frames(send->forward),
               forward_large(send->forward));
        return;
    }
    json_open(NULL, '{');
    json_text("device", send->vif->device.name);
    json_number("frames_read", send->frames);
    json_number("bytes_read", send->bytes);
    json_number("frames_sent", forward_frames(send->forward));
    json_number("large_packets", forward_large(send->forward));
    json_number("left_out", send->left_out);
    json_number("too_large", send->too_large);
    json_number("refused", send->failed);
    json_number("not_taken", send->vif->unsent);
    json_close('}');
}

static int judge(const struct send *send, int status)
{
    const char *name = send->vif->device.name;

    if (status != STATUS_DONE || os_stop_signal())
        return status;
    if (send->damaged)
        return send->damaged;
    if (send->left_out)
        return complain(STATUS_FAILED,
                        "--pcap %s: %" PRIu64 " of %" PRIu64
                        " frames are cut in it, shorter than 14 bytes, or longer than %u",
                        send->options->pcap, send->left_out, send->frames + send->left_out,
                        XENPV_LINK_FRAME_MAX);
    if (send->too_large + send->failed)
        return complain(STATUS_FAILED,
                        "%s: %" PRIu64 " of %" PRIu64
                        " frames were too large for its MTU, and no TCP packets",
                        name, send->too_large + send->failed, send->frames);
    if (send->vif->unsent)
        return complain(STATUS_FAILED, "%s: the backend did not take %" PRIu64 " frames", name,
                        send->vif->unsent);
    return STATUS_DONE;
}

static int use(struct vif *vif, void *ctx)
{
    struct send *send = ctx;
    int status;

    send->vif = vif;
    send->forward = forward_make(vif);
    if (!send->forward)
        return complain(STATUS_ENVIRONMENT, "out of memory");
    send->began = machine_now(vif->machine);
    status = run(send);
    progress_clear();
    print(send);
    forward_free(send->forward);
    return judge(send, status);
}

int net_send(const struct options *options, int count, char **arguments)
{
    struct send send = {.options = options};
    int status;

    (void)count;
    if (!options->pcap)
        return complain(STATUS_USAGE, "net send: give --pcap FILE: its frames are sent");
    if (net_is_of_the_mock(options, mock_net_writes))
        return STATUS_USAGE;
    status = open_file(&send);
    if (status == STATUS_DONE)
        status = net_run(options, arguments[0], use, &send);
    close_file(&send);
    return status;
}

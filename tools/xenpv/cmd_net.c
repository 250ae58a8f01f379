/* SPDX-License-Identifier: MIT */
/* What the commands of "xenpv net" share; and stats: what comes, and how. */
#include "cmd_net.h"

#include <inttypes.h>
#include <string.h>

#include "complain.h"
#include "info.h"
#include "json.h"

#define STATS_S 1u /* how long is looked, unless --duration says */

int net_run(const struct options *options, const char *name, int (*use)(struct vif *vif, void *ctx),
            void *ctx)
{
    struct machine *machine;
    struct device device;
    struct vif vif = {.net = NULL};
    int status;

    if (!device_parse_vif(name, &device))
        return STATUS_USAGE;
    status = machine_open(options, MACHINE_DEVICES, &machine);
    if (status != STATUS_DONE)
        return status;
    machine->listens = true;
    status = vif_open(&vif, machine, &device);
    if (status == STATUS_DONE)
        status = use(&vif, ctx);
    return machine_close(machine, vif_close(&vif, status));
}

void net_wait(struct vif *vif, uint32_t halves, uint64_t deadline)
{
    struct vif_waits waits = {.deadline = deadline};

    vif_add_waits(vif, &waits, halves);
    vif_wait(vif->machine, &waits);
}

bool net_is_of_the_mock(const struct options *options,
                        bool (*uses)(const char *text, const char *path))
{
    for (unsigned i = 0; options->pcap && i < options->mock_net_count; i++) {
        if (!uses(options->mock_nets[i], options->pcap))
            continue;
        complain(STATUS_USAGE, "--pcap %s: it is of --mock-net %s, too", options->pcap,
                 options->mock_nets[i]);
        return true;
    }
    for (unsigned i = 0; options->pcap && i < options->mock_disk_count; i++) {
        if (!os_same_file(options->mock_disks[i], options->pcap))
            continue;
        complain(STATUS_USAGE, "--pcap %s: it is --mock-disk %s, too", options->pcap,
                 options->mock_disks[i]);
        return true;
    }
    return false;
}

void net_tally_add(struct net_tally *tally, const struct vif_frame *frame)
{
    static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    bool broadcast = frame->bytes >= 6 && memcmp(frame->data, all, 6) == 0;

    tally->frames++;
    tally->bytes += frame->bytes;
    tally->fragments += frame->fragments;
    tally->broadcast += broadcast;
    tally->multicast += !broadcast && (frame->data[0] & 1);
    tally->blank += frame->offload.checksum == XENPV_NET_CSUM_BLANK;
    tally->good += frame->offload.checksum == XENPV_NET_CSUM_GOOD;
    tally->large += frame->offload.mss != 0;
    tally->hashed += frame->offload.hashed;
}

/* -------------------------------------------------------------------------------------- stats -- */

struct stats {
    struct net_tally tally;
    uint64_t elapsed_ms;
};

struct counter {
    const char *name, *key;
    uint64_t number;
};

#define COUNTERS 13u

static void fill_counters(const struct vif *vif, const struct net_tally *tally,
                          struct counter out[COUNTERS])
{
    struct xenpv_netq_stats all = {0}, one;

    for (uint32_t i = 0; i < vif->config.queues; i++) {
        xenpv_netq_stats(xenpv_net_queue(vif->net, i), &one);
        all.tx_errors += one.tx_errors;
        all.tx_dropped += one.tx_dropped;
        all.rx_errors += one.rx_errors;
        all.rx_dropped += one.rx_dropped;
    }
    const struct counter counters[COUNTERS] = {
        {"frames received", "rx_frames", tally->frames},
        {"  bytes", "rx_bytes", tally->bytes},
        {"  pages", "rx_pages", tally->fragments},
        {"  broadcast", "rx_broadcast", tally->broadcast},
        {"  multicast", "rx_multicast", tally->multicast},
        {"  large packets", "rx_large", tally->large},
        {"  checksums blank", "rx_csum_blank", tally->blank},
        {"  checksums good", "rx_csum_good", tally->good},
        {"  with a hash", "rx_hashed", tally->hashed},
        {"failed in the backend", "rx_errors", all.rx_errors},
        {"dropped as malformed", "rx_dropped", all.rx_dropped},
        {"sent, and refused", "tx_errors", all.tx_errors},
        {"sent, and dropped", "tx_dropped", all.tx_dropped},
    };

    memcpy(out, counters, sizeof(counters));
}

static void json_counters(const struct vif *vif, void *ctx)
{
    const struct stats *stats = ctx;
    struct counter counters[COUNTERS];

    fill_counters(vif, &stats->tally, counters);
    json_seconds("seconds", stats->elapsed_ms);
    json_open("counters", '{');
    for (uint32_t i = 0; i < COUNTERS; i++)
        json_number(counters[i].key, counters[i].number);
    json_close('}');
}

static void print_counters(const struct vif *vif, const struct stats *stats)
{
    struct counter counters[COUNTERS];

    fill_counters(vif, &stats->tally, counters);
    printf("\nIN %" PRIu64 ".%03u SECONDS\n", stats->elapsed_ms / 1000,
           (unsigned)(stats->elapsed_ms % 1000));
    for (uint32_t i = 0; i < COUNTERS; i++)
        printf("%-24s  %" PRIu64 "\n", counters[i].name, counters[i].number);
}

static int use_stats(struct vif *vif, void *ctx)
{
    const struct options *options = vif->machine->options;
    struct stats *stats = ctx;
    uint64_t began = machine_now(vif->machine);
    uint64_t end = began + 1000u * (uint64_t)(options->duration_s ? options->duration_s : STATS_S);
    bool connected;

    while ((connected = vif_step(vif)) && !os_stop_signal() && machine_now(vif->machine) < end) {
        struct vif_frame frame;

        for (uint32_t i = 0; i < NET_ROUND && vif_receive(vif, &frame); i++)
            net_tally_add(&stats->tally, &frame);
        net_wait(vif, XENPV_NET_RX, end);
    }
    if (!connected)
        return STATUS_FAILED;
    stats->elapsed_ms = machine_now(vif->machine) - began;
    if (options->json) {
        info_json_vif(vif, json_counters, stats);
    } else {
        info_print_vif(vif);
        print_counters(vif, stats);
    }
    return STATUS_DONE;
}

int net_stats(const struct options *options, int count, char **arguments)
{
    struct stats stats = {.elapsed_ms = 0};

    (void)count;
    return net_run(options, arguments[0], use_stats, &stats);
}

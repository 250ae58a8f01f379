/* SPDX-License-Identifier: MIT */
/*
 * The store suite on the mock's xenstored: store_mock [-v] [--only TEXT] WORLD...
 * WORLD is mock, mock-guest: what dom0 says, or a guest; client, client-guest: over a ring page, of
 * a server that advertises nothing; client-guest-reconnect, client-guest-error: of one that does.
 */
#include "links_mock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUEST 7

static struct mock_end ends[2]; /* dom0's, a guest's */

static void *take(void *ctx, size_t bytes, size_t align)
{
    (void)ctx;
    return aligned_alloc(align, (bytes + align - 1) / align * align);
}

static void give_back(void *ctx, void *memory)
{
    (void)ctx;
    free(memory);
}

static unsigned mock_watches(void *ctx)
{
    struct xenpv_mock_ledger ledger;

    (void)ctx;
    return xenpv_mock_ledger(ends[1].mock, GUEST, &ledger) == XENPV_OK ? ledger.watches : 0;
}

static const struct mock_world {
    const char *name;
    unsigned end;
    bool client;
    uint32_t features;
} worlds[] = {{"mock", 0, false, 0},
              {"mock-guest", 1, false, 0},
              {"client", 0, true, 0},
              {"client-guest", 1, true, 0},
              {"client-guest-reconnect", 1, true, XENPV_MOCK_STORE_RECONNECT},
              {"client-guest-error", 1, true, XENPV_MOCK_STORE_ERROR}};

static bool run_world(const struct mock_world *chosen, const char *only, bool verbose)
{
    const char *name = chosen->name;
    unsigned which = chosen->end;
    bool client = chosen->client;
    struct xenpv_mock_config config = {.size = sizeof(config),
                                       .allocator = {NULL, take, give_back}};
    struct world world = {.name = name,
                          .where = MOCK | (which == 0 ? DOM0 : DOMU) | (client ? CLIENT : 0),
                          .domid = which == 0 ? 0 : GUEST,
                          .together = client ? 1 : PIPELINED,
                          .watches = mock_watches};
    struct mock_ring page = {.end = &ends[which],
                             .anew = !(chosen->features & XENPV_MOCK_STORE_RECONNECT)};
    struct ring ring = mock_ring(&page);
    struct xenpv_mock *mock;
    struct tally tally;

    if (xenpv_mock_create(&config, &mock) != XENPV_OK ||
        xenpv_mock_add_domain(mock, GUEST) != XENPV_OK ||
        xenpv_mock_set_store_features(mock, chosen->features) != XENPV_OK)
        abort();
    ends[0] = (struct mock_end){mock, 0};
    ends[1] = (struct mock_end){mock, GUEST};
    for (unsigned party = A; party <= Z; party++) {
        world.transports[party] = &mock_transport;
        world.ctx[party] = &ends[party == Z ? 0 : which];
    }
    if (client) {
        world.transports[A] = &client_transport;
        world.ctx[A] = &ring;
    }
    run_suite(&world, only, verbose, &tally);
    xenpv_mock_destroy(mock);
    return tell(&world, &tally);
}

static bool run_named(const char *name, const char *only, bool verbose)
{
    for (size_t i = 0; i < COUNT(worlds); i++) {
        if (strcmp(worlds[i].name, name) == 0)
            return run_world(&worlds[i], only, verbose);
    }
    fprintf(stderr, "store_mock: no such world: %s\n", name);
    return false;
}

int main(int argc, char **argv)
{
    const char *only = "";
    bool verbose = false, good = true;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-v") == 0)
            verbose = true;
        else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
            only = argv[++i];
        else
            good &= run_named(argv[i], only, verbose);
    }
    return good ? 0 : 1;
}

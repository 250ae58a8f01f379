/* SPDX-License-Identifier: MIT */
/* The store suite on the mock's xenstored: store_mock [-v] [--only TEXT] mock|mock-guest... */
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

static bool run_world(const char *name, unsigned which, const char *only, bool verbose)
{
    struct xenpv_mock_config config = {.size = sizeof(config),
                                       .allocator = {NULL, take, give_back}};
    struct world world = {.name = name,
                          .where = MOCK | (which == 0 ? DOM0 : DOMU),
                          .domid = which == 0 ? 0 : GUEST,
                          .watches = mock_watches};
    struct xenpv_mock *mock;
    struct tally tally;

    if (xenpv_mock_create(&config, &mock) != XENPV_OK ||
        xenpv_mock_add_domain(mock, GUEST) != XENPV_OK)
        abort();
    ends[0] = (struct mock_end){mock, 0};
    ends[1] = (struct mock_end){mock, GUEST};
    for (unsigned party = A; party <= Z; party++) {
        world.transports[party] = &mock_transport;
        world.ctx[party] = &ends[party == Z ? 0 : which];
    }
    run_suite(&world, only, verbose, &tally);
    xenpv_mock_destroy(mock);
    return tell(&world, &tally);
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
            good &= run_world(argv[i], strcmp(argv[i], "mock") != 0, only, verbose);
    }
    return good ? 0 : 1;
}

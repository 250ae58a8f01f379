/* SPDX-License-Identifier: MIT */
/*
 * What frontends do in batches: a batch is begun, submitted, and polled until all of it has ended,
 * all in one thread, polled, over the mock. Our backends are stepped in between, and move no data.
 * tests/bench/instructions runs it under callgrind.
 */
#include "instructions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct xenpv_mock *mock;
struct xenpv_port front_port, back_port;
uint64_t now;

void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "bench-instructions: %s\n", what);
    exit(1);
}

static void *on_alloc(void *ctx, size_t bytes, size_t align)
{
    (void)ctx;
    return aligned_alloc(align, (bytes + align - 1) / align * align);
}

static void on_free(void *ctx, void *memory)
{
    (void)ctx;
    free(memory);
}

const struct xenpv_allocator allocator = {.alloc = on_alloc, .free = on_free};

static void make_machine(void)
{
    /* The nodes of 64 network cards are more than xenstored allows a guest by itself. */
    struct xenpv_mock_config config = {
        .size = sizeof(config), .allocator = allocator, .limits = {.store_nodes = 4000}};

    must(xenpv_mock_create(&config, &mock) == 0 && xenpv_mock_add_domain(mock, GUEST) == 0 &&
             xenpv_mock_port(mock, GUEST, &front_port) == 0 &&
             xenpv_mock_port(mock, DRIVER, &back_port) == 0,
         "the mock cannot be made");
}

static const struct kind *find_kind(const char *name)
{
    static const struct kind *const kinds[] = {&kind_blk, &kind_tx, &kind_rx};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    return NULL;
}

int main(int argc, char **argv)
{
    const struct kind *kind = argc == 4 ? find_kind(argv[1]) : NULL;
    uint32_t count = argc == 4 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
    uint32_t batches = argc == 4 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;

    must(kind && count >= 1 && count <= DEVICES_MAX,
         "usage: bench-instructions blk|tx|rx DEVICES BATCHES");
    make_machine();
    for (uint32_t i = 0; i < count; i++)
        kind->connect(i);
    for (uint32_t i = 0; i < batches; i++)
        kind->run(i % count);
    for (uint32_t i = 0; i < count; i++)
        kind->disconnect(i);
    xenpv_mock_destroy(mock);
    return 0;
}

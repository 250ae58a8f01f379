/* SPDX-License-Identifier: MIT */
#include "form.h"

/* One thread drives the queues: more bring nothing. In 4 pages of ring is room for all pieces, in
 * small requests, too. */
#define QUEUES     4u
#define RING_ORDER 2u

#define PAGES_OF_PIECE (PIECE_BYTES / XENPV_PAGE_SIZE)
#define PAGES_WISHED   (PIECES * (PAGES_OF_PIECE + 1)) /* each with a page that lists the others */
#define PAGES_LEAST    11u                             /* of a queue: one plain request */

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Half of what may be shared is left to others, and to what a backend has not returned yet. */
static uint32_t pages_of(struct machine *machine, const struct form *form)
{
    char unused[1];
    uint32_t limit = machine_grant_limit(machine, unused, sizeof(unused));
    uint32_t pages = limit ? least(limit / 2 / form->sharers, PAGES_WISHED) : PAGES_WISHED;

    return pages >> form->attempt;
}

/* What a queue has for data, if the rings leave that. */
static uint32_t buffer_of(const struct xenpv_blk_config *config, uint32_t pages)
{
    uint32_t share = pages / config->queues, ring = 1u << config->ring_order;

    return share > ring ? share - ring : 0;
}

/* Fewer queues, then smaller rings, until a queue's buffer holds a piece. */
static void shrink(struct xenpv_blk_config *config, uint32_t pages, bool queues, bool rings)
{
    while (queues && config->queues > 1 && buffer_of(config, pages) <= PAGES_OF_PIECE)
        config->queues /= 2;
    while (rings && config->ring_order > 0 && buffer_of(config, pages) <= PAGES_OF_PIECE)
        config->ring_order--;
}

void form_set(struct xenpv_blk_config *config, struct machine *machine, const struct form *form)
{
    const struct options *options = machine->options;
    uint32_t pages = pages_of(machine, form), buffer;
    bool queues_given = options->given & OPTION_QUEUES;
    bool ring_given = options->given & OPTION_RING_ORDER;

    config->without = options->without;
    config->units = (enum xenpv_blk_units)options->units;
    config->poll = options->poll;
    if (options->given & OPTION_SEGMENTS)
        config->segments = options->segments;
    config->queues = queues_given ? options->queues : QUEUES;
    if (form->queues)
        config->queues = least(config->queues, form->queues);
    config->ring_order = ring_given ? options->ring_order : RING_ORDER;
    /* What was asked for is tried as it is, once. */
    shrink(config, pages, !queues_given || form->attempt, !ring_given || form->attempt);
    buffer = buffer_of(config, pages);
    config->buffer_pages = buffer > PAGES_LEAST ? buffer : PAGES_LEAST;
}

bool form_can_shrink(const struct xenpv_blk_config *config)
{
    return config->queues > 1 || config->ring_order > 0 || config->buffer_pages > PAGES_LEAST;
}

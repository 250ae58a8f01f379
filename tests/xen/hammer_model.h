/* SPDX-License-Identifier: MIT */
/*
 * What a part of a disk may hold. Each block says which one it is, and which version of it; a
 * version is one write. The model remembers, of each block, which versions were written and which
 * of them must be there: a block that is older than that, or that nobody wrote so, is a fault.
 *
 * Runs of blocks may be written while other writes of the same blocks are under way, but not while
 * they are read, nor read while they are written: a disk may tear them then. One thread for each
 * model.
 */
#ifndef XENPV_TESTS_HAMMER_MODEL_H
#define XENPV_TESTS_HAMMER_MODEL_H

#include <stdbool.h>
#include <stdint.h>

struct hammer_model {
    uint64_t first; /* block of the disk where this part begins */
    uint32_t count; /* blocks */
    uint32_t bytes; /* of a block, 512 or more */
    uint64_t run;   /* tells this run's blocks from those of any other */
    bool cached;    /* the disk has a cache that may be lost: only what was flushed must be there */

    uint32_t *issued, *done, *flushing, *flushed, *discarded; /* versions, for each block */
    uint16_t *writing, *reading;                              /* operations, for each block */
    uint64_t checked, lost,
        wrong; /* blocks; lost: older than it must be; wrong: never written so */
};

/* The other fields of the model are set. False: no memory. */
bool hammer_model_init(struct hammer_model *model);

/* How many blocks from `at` on, `count` at most, may be written, or read, now. */
uint32_t hammer_model_free(const struct hammer_model *model, bool write, uint32_t at,
                           uint32_t count);

/* A write of these blocks begins: fills the buffer. A discard does the same with one that it does
 * not send. */
void hammer_model_write(struct hammer_model *model, uint32_t at, uint32_t count, void *buffer,
                        bool discard);
/* It has ended; the buffer is unchanged. */
void hammer_model_wrote(struct hammer_model *model, uint32_t at, uint32_t count, const void *buffer,
                        bool good);

void hammer_model_read(struct hammer_model *model, uint32_t at, uint32_t count);
/* It has ended: looks at what was read, and complains of faults on standard output. */
void hammer_model_was_read(struct hammer_model *model, uint32_t at, uint32_t count,
                           const void *buffer, bool good);

/* One flush at a time. */
void hammer_model_flush(struct hammer_model *model);
void hammer_model_was_flushed(struct hammer_model *model, bool good);

/* The connection was lost, and with it the disk's cache, if it has one: a later flush is none of
 * what was written before. */
void hammer_model_lost_cache(struct hammer_model *model);

#endif

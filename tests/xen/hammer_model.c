/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hammer_model.h"

enum { WORD_RUN, WORD_BLOCK, WORD_VERSION, WORDS_HEADER, COMPLAINTS = 10 };

bool hammer_model_init(struct hammer_model *model)
{
    uint32_t **versions[] = {&model->issued, &model->done, &model->flushing, &model->flushed,
                             &model->discarded};
    bool good = true;

    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        *versions[i] = calloc(model->count, sizeof(uint32_t));
        good = good && *versions[i];
    }
    model->writing = calloc(model->count, sizeof(uint16_t));
    model->reading = calloc(model->count, sizeof(uint16_t));
    return good && model->writing && model->reading;
}

uint32_t hammer_model_free(const struct hammer_model *model, bool write, uint32_t at,
                           uint32_t count)
{
    const uint16_t *others = write ? model->reading : model->writing;
    uint32_t i = 0;

    while (i < count && at + i < model->count && !others[at + i])
        i++;
    return i;
}

/* Words that depend on all that the header says, so that no part of another block passes. */
static uint64_t pattern(uint64_t run, uint64_t block, uint64_t version)
{
    uint64_t x = run ^ block * 0x9e3779b97f4a7c15u ^ version * 0xc2b2ae3d27d4eb4fu;

    x = (x ^ x >> 31) * 0xbf58476d1ce4e5b9u;
    return x ^ x >> 29;
}

static uint64_t word_at(const void *buffer, uint32_t index)
{
    uint64_t word;

    memcpy(&word, (const char *)buffer + index * sizeof(word), sizeof(word));
    return word;
}

static void fill(const struct hammer_model *model, uint32_t at, uint32_t version, void *block)
{
    uint64_t number = model->first + at, x = pattern(model->run, number, version);
    uint64_t header[WORDS_HEADER] = {model->run, number, version};

    memcpy(block, header, sizeof(header));
    for (uint32_t i = WORDS_HEADER; i < model->bytes / 8; i++) {
        x += 0x9e3779b97f4a7c15u;
        memcpy((char *)block + i * 8, &x, 8);
    }
}

static bool filled(const struct hammer_model *model, uint32_t at, const void *block)
{
    uint64_t number = model->first + at;
    uint64_t x = pattern(model->run, number, word_at(block, WORD_VERSION));

    if (word_at(block, WORD_RUN) != model->run || word_at(block, WORD_BLOCK) != number)
        return false;
    for (uint32_t i = WORDS_HEADER; i < model->bytes / 8; i++) {
        x += 0x9e3779b97f4a7c15u;
        if (word_at(block, i) != x)
            return false;
    }
    return true;
}

void hammer_model_write(struct hammer_model *model, uint32_t at, uint32_t count, void *buffer,
                        bool discard)
{
    for (uint32_t i = 0; i < count; i++) {
        model->writing[at + i]++;
        model->issued[at + i]++;
        if (discard)
            model->discarded[at + i] = model->issued[at + i];
        fill(model, at + i, model->issued[at + i], (char *)buffer + i * model->bytes);
    }
}

void hammer_model_wrote(struct hammer_model *model, uint32_t at, uint32_t count, const void *buffer,
                        bool good)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t version = word_at((const char *)buffer + i * model->bytes, WORD_VERSION);

        model->writing[at + i]--;
        if (good && version > model->done[at + i])
            model->done[at + i] = (uint32_t)version;
    }
}

void hammer_model_read(struct hammer_model *model, uint32_t at, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        model->reading[at + i]++;
}

/* What a block must be at least; 0: whatever it likes: nobody wrote it, or it was discarded since. */
static uint32_t oldest(const struct hammer_model *model, uint32_t at)
{
    uint32_t version = model->cached ? model->flushed[at] : model->done[at];

    return version > model->discarded[at] ? version : 0;
}

static void complain(const struct hammer_model *model, uint32_t at, const char *fault,
                     const void *block)
{
    uint64_t number = model->first + at;

    if (model->lost + model->wrong > COMPLAINTS)
        return;
    printf("%s: block %llu holds run %llx, block %llu, version %llu; written %u, done %u, flushed "
           "%u, discarded %u\n",
           fault, (unsigned long long)number, (unsigned long long)word_at(block, WORD_RUN),
           (unsigned long long)word_at(block, WORD_BLOCK),
           (unsigned long long)word_at(block, WORD_VERSION), model->issued[at], model->done[at],
           model->flushed[at], model->discarded[at]);
}

static void check(struct hammer_model *model, uint32_t at, const void *block)
{
    uint32_t least = oldest(model, at);
    uint64_t version = word_at(block, WORD_VERSION);

    if (!least)
        return;
    model->checked++;
    if (!filled(model, at, block) || version > model->issued[at]) {
        model->wrong++;
        complain(model, at, "wrong", block);
    } else if (version < least) {
        model->lost++;
        complain(model, at, "lost", block);
    }
}

void hammer_model_was_read(struct hammer_model *model, uint32_t at, uint32_t count,
                           const void *buffer, bool good)
{
    for (uint32_t i = 0; i < count; i++) {
        model->reading[at + i]--;
        if (good)
            check(model, at + i, (const char *)buffer + i * model->bytes);
    }
}

void hammer_model_flush(struct hammer_model *model)
{
    memcpy(model->flushing, model->done, model->count * sizeof(*model->done));
}

void hammer_model_was_flushed(struct hammer_model *model, bool good)
{
    if (good)
        memcpy(model->flushed, model->flushing, model->count * sizeof(*model->flushed));
}

void hammer_model_lost_cache(struct hammer_model *model)
{
    if (!model->cached)
        return;
    memcpy(model->done, model->flushed, model->count * sizeof(*model->done));
    memcpy(model->flushing, model->flushed, model->count * sizeof(*model->flushing));
}

/* SPDX-License-Identifier: MIT */
/* A peer's grants through gntdev, mapped or copied. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "linux.h"

/*
 * What Xen said of one grant reference. To Xen an entry that was never granted, one of another
 * domain and a read-only one are the same "general error"; only a number beyond the peer's table is
 * told apart.
 */
static int grant_status(int16_t status)
{
    switch (status) {
    case GNTST_okay:
        return 0;
    case GNTST_bad_gntref:
    case GNTST_bad_domain:
        return XENPV_ENOENT;
    case GNTST_no_space:
    case GNTST_no_device_space:
        return XENPV_ENOGRANT;
    default:
        return XENPV_EACCES;
    }
}

static int map_errno(int error_number)
{
    return error_number == EINVAL ? XENPV_EACCES : XENPV_ENOGRANT;
}

static xengnttab_grant_copy_segment_t copy_segment(const struct xenpv_copy_entry *entry)
{
    union xengnttab_copy_ptr local = {.virt = entry->local};
    union xengnttab_copy_ptr peer = {
        .foreign = {.ref = entry->ref, .offset = entry->offset, .domid = entry->domid}};

    return (xengnttab_grant_copy_segment_t){
        .source = entry->to_peer ? local : peer,
        .dest = entry->to_peer ? peer : local,
        .len = entry->length,
        .flags = entry->to_peer ? GNTCOPY_dest_gref : GNTCOPY_source_gref,
    };
}

/*
 * Why one entry of a region cannot be mapped. gntdev answers EINVAL whatever Xen said, but passes
 * Xen's own answer on for a copy, so a byte is read as well.
 */
static int entry_status(struct xenpv_linux *self, uint16_t domid, uint32_t ref, int protection)
{
    char byte;
    struct xenpv_copy_entry entry = {.local = &byte, .ref = ref, .domid = domid, .length = 1};
    xengnttab_grant_copy_segment_t segment = copy_segment(&entry);
    void *page = xengnttab_map_grant_ref(self->map, domid, ref, protection);
    int status;

    if (page) {
        xengnttab_unmap(self->map, page, 1);
        return 0;
    }
    status = map_errno(errno);
    if (status == XENPV_EACCES && xengnttab_grant_copy(self->map, 1, &segment) == 0 &&
        segment.status != GNTST_okay)
        status = grant_status(segment.status);
    return status;
}

/* All or nothing is all that gntdev says of a region, so each entry is tried by itself. */
static int failed_entries(struct xenpv_linux *self, struct xenpv_map_region *region, int protection,
                          int error_number)
{
    int first = 0;

    for (uint32_t i = 0; i < region->count; i++) {
        struct xenpv_map_entry *entry = &region->entries[i];

        entry->status = entry_status(self, region->domid, entry->ref, protection);
        if (entry->status && !first)
            first = entry->status;
    }
    return first ? first : map_errno(error_number);
}

static int map(void *ctx, struct xenpv_map_region *region)
{
    struct xenpv_linux *self = ctx;
    int protection = region->flags & XENPV_MAP_READONLY ? PROT_READ : PROT_READ | PROT_WRITE;
    uint32_t *refs;
    int error_number;

    if (region->count == 0)
        return XENPV_EINVAL;
    refs = calloc(region->count, sizeof(*refs));
    if (!refs)
        return XENPV_ENOMEM;
    for (uint32_t i = 0; i < region->count; i++) {
        refs[i] = region->entries[i].ref;
        region->entries[i].status = 0;
    }
    region->memory =
        xengnttab_map_domain_grant_refs(self->map, region->count, region->domid, refs, protection);
    error_number = errno;
    free(refs);
    return region->memory ? 0 : failed_entries(self, region, protection, error_number);
}

static void unmap(void *ctx, struct xenpv_map_region *region)
{
    struct xenpv_linux *self = ctx;

    xengnttab_unmap(self->map, region->memory, region->count);
    region->memory = NULL;
}

#define COPY_CHUNK 32u

/* gntdev refuses all of a call for one bad argument of ours, so those are sorted out before. */
static int check_copy(const struct xenpv_copy_entry *entry)
{
    return (uint32_t)entry->offset + entry->length > XENPV_PAGE_SIZE ? XENPV_EINVAL : 0;
}

static void copy_chunk(struct xenpv_linux *self, struct xenpv_copy_entry *entries, uint32_t count)
{
    xengnttab_grant_copy_segment_t segments[COPY_CHUNK];
    uint32_t used = 0;
    int refused = 0;

    for (uint32_t i = 0; i < count; i++) {
        entries[i].status = check_copy(&entries[i]);
        if (!entries[i].status)
            segments[used++] = copy_segment(&entries[i]);
    }
    if (used && xengnttab_grant_copy(self->map, used, segments))
        refused = errno == ENOMEM ? XENPV_ENOMEM : XENPV_EINVAL;
    for (uint32_t i = 0, segment = 0; i < count; i++)
        if (!entries[i].status)
            entries[i].status = refused ? refused : grant_status(segments[segment++].status);
}

static int copy(void *ctx, struct xenpv_copy_entry *entries, uint32_t count)
{
    int first = 0;

    for (uint32_t at = 0; at < count; at += COPY_CHUNK)
        copy_chunk(ctx, entries + at, count - at < COPY_CHUNK ? count - at : COPY_CHUNK);
    for (uint32_t i = 0; i < count && !first; i++)
        first = entries[i].status;
    return first;
}

/* Copying came to gntdev years after mapping did: a call without entries tells. */
uint32_t xenpv_linux_map_caps(struct xenpv_linux *self)
{
    xengnttab_grant_copy_segment_t none;

    if (xengnttab_grant_copy(self->map, 0, &none))
        return XENPV_CAP_MAP;
    return XENPV_CAP_MAP | XENPV_CAP_COPY;
}

const struct xenpv_map_ops xenpv_linux_map_ops = {
    .map = map,
    .unmap = unmap,
    .copy = copy,
};

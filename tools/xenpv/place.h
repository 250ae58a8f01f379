/* SPDX-License-Identifier: MIT */
/* Where bytes come from or go to: a disk, a file, or a standard stream. */
#ifndef XENPV_PLACE_H
#define XENPV_PLACE_H

#include "vbd.h"

struct place {
    const char *option; /* what stands before its name in an error line: "--in ", or "" */
    const char *name;   /* "vbd/51712", "disk.img", "standard input" */
    const char *path;   /* of a file; NULL: a standard stream, or a disk */
    bool is_disk;
    struct vbd vbd; /* of a disk */
    int fd;         /* of all else; -1: not open */
    bool sized;     /* it has an end that is known: */
    uint64_t size;  /* bytes in all, of a stream from here on */
    uint64_t offset;
    bool sparse; /* zeroes need not be written */
};

/* What `text` names: a disk, a file, or with "-" a standard stream. False after complaining. */
bool place_parse(struct place *place, const char *text);
/* The same, and it must be a disk. */
bool place_parse_disk(struct place *place, const char *text);

/* A standard stream, until it is opened as input or output. */
void place_be_stream(struct place *place);

/* An exit status each. A disk is none of theirs. */
int place_open_input(struct place *place);
/* `options` names the mock's images, which are no files to write to. */
int place_open_output(struct place *place, const struct options *options);
/* Returns `status`, or what went wrong in closing a file that was written. */
int place_close(struct place *place, bool written, int status);

/* For a disk, that it exists: exit status. Then connects to it. */
int place_find(struct place *place, struct machine *machine, unsigned sharers);
int place_connect(struct place *place);

/* Goes to the offset of a file or stream. */
int place_skip(struct place *place);

#endif

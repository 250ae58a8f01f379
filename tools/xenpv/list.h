/* SPDX-License-Identifier: MIT */
/* What "xenpv list" shows of devices: their rows, and the stream that they come from. */
#ifndef XENPV_LIST_H
#define XENPV_LIST_H

#include <xenpv/devices.h>

#include "machine.h"

struct row {
    struct xenpv_device device;
    char name[16]; /* "" for a class whose devices have none */
    char mac[24];
    char serial[64];
    uint64_t bytes; /* 0: not known */
    char holder[64];
    bool counted, admitted; /* by the budget */
};

/* Reads what there is to know of a device below `path`, as of the stream that it comes from: 0, or
 * why the store cannot be used. */
int row_fill(struct machine *machine, const char *path, const struct xenpv_device *device,
             struct row *row);

/* Who it is, wherever it is attached: "serial:TEXT", "mac:ADDRESS", as commands take it; "" where
 * nobody says, and its class and number have to do. */
#define IDENTITY_MAX 72u
void row_identity(const struct row *row, char text[IDENTITY_MAX]);
/* "vbd/51712" */
void row_device(const struct row *row, char text[32]);

/* "4 Connected"; "-" for none. */
void list_state_text(uint32_t state, char text[32]);
/* A state as its number; null for none, and for what is no state. */
void list_json_state(const char *key, uint32_t state);
void list_json_domain(const char *key, uint16_t domid);
/* Its class, number and name, and who it is. */
void list_json_device(const struct row *row);

/* ----------------------------------------------------------------------------------- stream -- */

struct stream {
    struct machine *machine;
    struct xenpv_devices *devices;
    void *memory;
};

/* Of the devices below `path`, which stays valid until ->close. XENPV_ENOMEM. */
int stream_open(struct stream *stream, struct machine *machine, const char *path);
/* Until all that is there has been seen. An error of the store's, or XENPV_ETIMEDOUT. */
int stream_look(struct stream *stream);
void stream_close(struct stream *stream);

/* ------------------------------------------------------------------------------ other looks -- */

/* list --watch; list --all. Exit statuses. */
int list_watch(const struct options *options);
int list_all(const struct options *options);

/* What is said when the devices cannot be listed: the exit status. */
int list_complain(int error);

#endif

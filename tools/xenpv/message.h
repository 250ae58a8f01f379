/* SPDX-License-Identifier: MIT */
/* Messages between a guest and domain 0: docs/messages.md has the nodes. */
#ifndef XENPV_MESSAGE_H
#define XENPV_MESSAGE_H

#include "machine.h"

#define MESSAGE_KEY_MAX   64u   /* characters: letters, digits, - and _ */
#define MESSAGE_VALUE_MAX 1920u /* bytes; with what else a node takes, within the quota of 2,048 */
#define MESSAGE_ID_MAX    40u
#define MESSAGE_PATH_MAX  192u

/* One direction of one domain's messages. */
struct mailbox {
    struct machine *machine;
    char home[32]; /* "/local/domain/7", or "": our own, and paths are relative */
    char path[80]; /* below which there is a directory for each key */
};

struct message {
    char key[MESSAGE_KEY_MAX + 1];
    char id[MESSAGE_ID_MAX];
    char value[MESSAGE_VALUE_MAX];
    uint32_t length;
};

bool message_key_is_good(const char *key);

/* To or from the guest, as --domain says or not. */
void mailbox_open(struct mailbox *mailbox, struct machine *machine, bool sends);
/* XENPV_ENOENT: there is no such domain. */
int mailbox_check(struct mailbox *mailbox);

/* Puts it there, behind those that wait; its id is filled in. */
int mailbox_put(struct mailbox *mailbox, struct message *message);

/*
 * What has become of a message that was put: 0: it was received; XENPV_PENDING: it waits;
 * XENPV_EAGAIN: all messages are gone, as when the guest was moved, and nobody knows; XENPV_ENOENT:
 * the domain is gone.
 */
int mailbox_look(struct mailbox *mailbox, const struct message *message);

/*
 * Takes the oldest, and so acknowledges it; of message->key, or if that is "" of any. Of several
 * receivers one gets it. XENPV_PENDING: there is none. One that is too long is cut.
 */
int mailbox_take(struct mailbox *mailbox, struct message *message);

#endif

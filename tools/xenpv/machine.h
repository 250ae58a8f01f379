/* SPDX-License-Identifier: MIT */
/*
 * The machine a command works on: a Xen guest of which we are a process, or a mock with our own
 * backends in it. All waiting happens here. What fails has been complained of by the time it is
 * answered, and the answer is an exit status.
 */
#ifndef XENPV_MACHINE_H
#define XENPV_MACHINE_H

#include <xenpv/port.h>

#include "cli.h"
#include "os.h"

struct machine;

struct machine_ops {
    uint64_t (*now)(struct machine *machine);
    void (*wait)(struct machine *machine, const struct os_wait *waits, unsigned count,
                 uint64_t deadline);
    int (*claim)(struct machine *machine, const char *class_name, uint32_t id);
    void (*holder)(struct machine *machine, const char *class_name, uint32_t id, char *text,
                   size_t bytes);
    /*
     * What has become of a domain, in words that end a sentence; "" when it lives or cannot be
     * asked.
     */
    const char *(*fate)(struct machine *machine, uint16_t domid);
    uint32_t (*grant_limit)(struct machine *machine, char *raise, size_t bytes);
    void (*toolstack)(struct machine *machine, const char *what); /* NULL: it is not ours */
    int (*close)(struct machine *machine);
};

struct machine {
    struct xenpv_port port;
    bool listens; /* what it waits for may never come, and that is nobody's fault */
    const struct options *options;
    const struct machine_ops *ops;
};

enum machine_need {
    MACHINE_STORE,   /* to look only: the port has the store calls alone */
    MACHINE_DOMAINS, /* the same, at all domains: in the mock as domain 0 */
    MACHINE_DEVICES, /* to connect to devices */
};

int machine_open(const struct options *options, enum machine_need need, struct machine **machine);

/* Returns `status`, or what went wrong in closing if that is STATUS_DONE. */
int machine_close(struct machine *machine, int status);

/* Milliseconds of the clock that the devices of this machine live by. */
uint64_t machine_now(struct machine *machine);

/*
 * Until something may have moved: a handle is ready, the store has news, the deadline (of
 * machine_now) has passed, or a signal asks us to end.
 */
void machine_wait(struct machine *machine, const struct os_wait *waits, unsigned count,
                  uint64_t deadline);

/* Makes the device ours until the machine is closed; with the option, from others. */
int machine_claim(struct machine *machine, const char *class_name, uint32_t id);

/* Who holds the device now; "" when nobody does. */
void machine_holder(struct machine *machine, const char *class_name, uint32_t id, char *text,
                    size_t bytes);

/* What has become of the peer's domain, e.g. "has crashed"; "" when it lives or cannot be asked. */
const char *machine_fate(struct machine *machine, uint16_t domid);

/*
 * How many pages may be shared at most, by all there is on this machine, and the command that
 * raises it, as text; 0 and "" when nobody says.
 */
uint32_t machine_grant_limit(struct machine *machine, char *raise, size_t bytes);

/*
 * On the mock, its toolstack writes a node of ours, PATH=VALUE, or with "resume=" saves and restores
 * us. What it cannot do is complained of.
 */
void machine_toolstack(struct machine *machine, const char *what);

/* The two there are. */
int machine_open_linux(const struct options *options, enum machine_need need,
                       struct machine **machine);
int machine_open_mock(const struct options *options, enum machine_need need,
                      struct machine **machine);

#endif

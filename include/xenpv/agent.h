/* SPDX-License-Identifier: MIT */
/*
 * Guest services: what a toolstack asks of the guest as a whole, by way of the store. It obeys
 * control/shutdown, control/sysrq and memory/target, and publishes what the guest wants to be known
 * of it under the guest's own path. docs/guest-services.md has the keys.
 *
 * It never sleeps, allocates or reads a clock. One thread steps it: whenever the port's store wait
 * handle is signalled, at xenpv_agent_deadline(), and after every other call of this header.
 *
 * Two ways of life. ACTIVE: it acknowledges what is asked for, advertises what it obeys, and moves
 * pages through the port. PASSIVE: a kernel, or another agent, owns control/ and memory/target; so
 * it writes neither and tells its owner what it sees there. It publishes in both.
 */
#ifndef XENPV_AGENT_H
#define XENPV_AGENT_H

#include <xenpv/port.h>

#ifdef __cplusplus
extern "C" {
#endif

struct xenpv_agent;

/* What the agent tells its owner. */
enum xenpv_agent_event_type {
    XENPV_AGENT_POWEROFF, /* these six are what control/shutdown asks for */
    XENPV_AGENT_REBOOT,
    XENPV_AGENT_HALT,
    XENPV_AGENT_SUSPEND,
    XENPV_AGENT_S3,
    XENPV_AGENT_S4,
    /*
     * PASSIVE: something was written to control/shutdown, and it was empty when it could be read.
     * Most likely one of the six, which its owner had acknowledged by then; may be spurious.
     */
    XENPV_AGENT_SHUTDOWN,
    XENPV_AGENT_RESUME, /* the guest has come back from a suspend */
    XENPV_AGENT_SYSRQ,  /* PASSIVE: may come without a key, as SHUTDOWN without a kind */
    XENPV_AGENT_MEMORY, /* memory/target is another */
    XENPV_AGENT_EVENTS
};
#define XENPV_AGENT_BIT(type) (1u << (type))

/* "poweroff", "reboot", ..., "shutdown", "resume", "sysrq", "memory"; NULL beyond. Any thread. */
const char *xenpv_agent_event_name(uint32_t type);

struct xenpv_agent_event {
    uint32_t type;
    char key;            /* SYSRQ: a printable character; 0: not known */
    uint64_t target_kib; /* MEMORY: as the toolstack wrote it ... */
    uint64_t goal;       /* ... and the pages that follow from it, as of xenpv_balloon_goal() */
};

/* ------------------------------------------------------------------------- what is published -- */

#define XENPV_AGENT_NAME  64u /* bytes of a key's path with its NUL */
#define XENPV_AGENT_VALUE 96u /* bytes of its value with its NUL */

/* A key below the guest's own path. */
struct xenpv_agent_key {
    char name[XENPV_AGENT_NAME];   /* "attr/vif/0/ipv4/0" */
    char value[XENPV_AGENT_VALUE]; /* "10.0.0.1" */
};

/* The version of this library, as toolstacks look for it: attr/PVAddons/... Any thread. */
#define XENPV_AGENT_VERSION_KEYS 4u
void xenpv_agent_version_keys(struct xenpv_agent_key keys[XENPV_AGENT_VERSION_KEYS]);

/*
 * The key of address number `index` of device/vif/<vif>: 4 bytes are an IPv4 address, 16 an IPv6
 * address, in the order of the wire. XENPV_EINVAL: any other number of bytes. Any thread.
 */
int xenpv_agent_address_key(struct xenpv_agent_key *key, uint32_t vif, uint32_t index,
                            const uint8_t *address, uint32_t bytes);

/* --------------------------------------------------------------------------------- the agent -- */

struct xenpv_agent_config {
    uint32_t size; /* sizeof(struct xenpv_agent_config), set by xenpv_agent_config_init */
    const struct xenpv_port *port; /* outlives the agent; only ->store, ->sys, ->memory are used */
    /*
     * ACTIVE where nobody else advertises anything in control/; else, and if false, which it is
     * initially, PASSIVE.
     */
    bool active;
    /*
     * ACTIVE: what is obeyed, XENPV_AGENT_BIT of POWEROFF to S4, SYSRQ and MEMORY; the rest is
     * neither advertised nor acknowledged. Initially 0.
     */
    uint32_t enabled;
    uint32_t keys;           /* keys that may be published at once, 0..1024; initially 64 */
    uint64_t floor;          /* pages that memory/target cannot take away; initially 8,192 */
    uint32_t pages_per_step; /* that a step moves at the most, 1..2^20; initially 1,024 */
};

/* Fills in every field. Any thread. */
void xenpv_agent_config_init(struct xenpv_agent_config *config, const struct xenpv_port *port);

/* Bytes that an agent of this configuration needs; 0 when it is invalid. Any thread. */
size_t xenpv_agent_size(const struct xenpv_agent_config *config);

/*
 * Makes an agent in `memory`, of xenpv_agent_size bytes at a multiple of 16. Nothing is read or
 * written yet. To free it, close it until it is CLOSED, or abandon it. XENPV_EINVAL: a field is out
 * of its range.
 */
int xenpv_agent_init(void *memory, const struct xenpv_agent_config *config,
                     struct xenpv_agent **agent);

enum xenpv_agent_state {
    XENPV_AGENT_STARTING, /* it has not yet seen who owns control/ */
    XENPV_AGENT_PASSIVE,
    XENPV_AGENT_ACTIVE,
    XENPV_AGENT_CLOSING,
    XENPV_AGENT_CLOSED, /* what it had published and advertised is gone; its watches are */
};

/* Does what can be done now, in bounded time, and returns the state. */
enum xenpv_agent_state xenpv_agent_step(struct xenpv_agent *agent, uint64_t now);

/* When to step again at the latest; UINT64_MAX: when the store's wait handle is signalled. */
uint64_t xenpv_agent_deadline(const struct xenpv_agent *agent);

/*
 * Takes an event: true, or false when there is none. Several of one type, not yet taken, are one,
 * with what the last said. In ACTIVE a request comes once it is acknowledged, or, with a line in
 * the log, cannot be.
 */
bool xenpv_agent_poll(struct xenpv_agent *agent, struct xenpv_agent_event *event);

/*
 * From now on these keys, and no others, are published: those that are new or have another value
 * are written, those that are missing are removed; then data/updated is written. All are written
 * again after a suspend or a loss of the store; what the quota had no room for is tried again with
 * each call. They are copied. XENPV_E2BIG: more than config.keys, those not yet removed included,
 * and nothing has changed; XENPV_EINVAL: one that is empty or has no NUL.
 */
int xenpv_agent_publish(struct xenpv_agent *agent, const struct xenpv_agent_key *keys,
                        uint32_t count);

/* Looks at everything once more: before it is closed, so that nothing is missed. */
void xenpv_agent_look(struct xenpv_agent *agent);

/*
 * The guest has come back from a suspend that sys->generation does not show: a checkpoint. Gives
 * RESUME, and what is published is written again.
 */
void xenpv_agent_resumed(struct xenpv_agent *agent);

/* Steps lead to CLOSED from here. Events that are not yet taken stay. */
void xenpv_agent_close(struct xenpv_agent *agent);

/* Gives up at once, as after a deadline: its memory is free; what it had published stays there. */
void xenpv_agent_abandon(struct xenpv_agent *agent);

/* What has become of it so far. */
struct xenpv_agent_info {
    bool active;          /* it is, or was until it was closed, ACTIVE */
    uint32_t advertised;  /* XENPV_AGENT_BIT: what control/feature-* says that we obey */
    uint32_t unannounced; /* ... and what could not be said there: it is obeyed all the same */
    uint32_t published;   /* keys that stand in the store as they should */
    uint32_t refused;     /* keys that the store does not take: no permission, or the quota */
    uint32_t waiting;     /* keys to write or remove yet */
    bool lost;            /* the store cannot be reached; it is tried again and again */
    bool moving;          /* pages are on their way: */
    uint64_t goal;        /* pages that memory/target wants; 0: it never said */
};
void xenpv_agent_get_info(const struct xenpv_agent *agent, struct xenpv_agent_info *info);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: MIT */
/*
 * The devices that a domain has, and what becomes of them: device/<class>/<id> in its part of the
 * store is looked through, watched, and told as a stream of events. For a kernel's hotplug, and for
 * whoever shows devices.
 *
 * It is a look at levels, not at edges: it tells what is different from what it told last. What
 * came and went between two looks is not told, and of several changes the last. A device is who it
 * is by class and number, never by its place in a list.
 *
 * All from one thread. Nothing is written to the store.
 */
#ifndef XENPV_DEVICES_H
#define XENPV_DEVICES_H

#include <xenpv/bus.h>

#ifdef __cplusplus
extern "C" {
#endif

#define XENPV_DEVICE_CLASS_MAX  16u    /* bytes of a class with its NUL; longer ones are left out */
#define XENPV_DEVICES_MAX       65536u /* of `capacity` */
#define XENPV_DEVICES_NAMES_MAX 0x1000000u /* of `names` */
#define XENPV_DEVICE_NO_DOMAIN  0xffffu    /* `backend-id` is missing, or no domain */

struct xenpv_device {
    char class_name[XENPV_DEVICE_CLASS_MAX]; /* "vbd", "vif", ... */
    uint32_t id;
    uint16_t backend_id;                /* XENPV_DEVICE_NO_DOMAIN */
    uint8_t frontend_state;             /* enum xenpv_bus_state, of the domain's own end; ... */
    uint8_t backend_state;              /* ... UNKNOWN where there is none, or it may not be read */
    char backend[XENPV_STORE_PATH_MAX]; /* its directory; "" where there is none, or it is longer */
};

enum xenpv_device_change {
    XENPV_DEVICE_ADDED,
    XENPV_DEVICE_REMOVED, /* of the device, class_name and id count, and the states last told */
    XENPV_DEVICE_CHANGED, /* the state of either end */
};

struct xenpv_device_event {
    enum xenpv_device_change change;
    struct xenpv_device device;
    uint8_t frontend_before, backend_before; /* CHANGED: the states that were told last */
};

struct xenpv_devices_config {
    const struct xenpv_port *port; /* its store calls are used; valid and unchanged until stop */
    const char *path;              /* "device", or /local/domain/<domid>/device; as long valid */
    uint32_t capacity;             /* devices at the most */
    uint32_t names;                /* bytes for two lists of names, of classes and of one class'
                                      devices; of 40 devices a list may have 400 bytes */
};

struct xenpv_devices;

/* How much memory is needed for this; it is aligned as for a pointer. 0: `config` is not valid. */
size_t xenpv_devices_size(const struct xenpv_devices_config *config);

/* Does nothing yet. The memory is the caller's, and in use until ->stop. XENPV_EINVAL. */
int xenpv_devices_init(const struct xenpv_devices_config *config, void *memory, size_t bytes,
                       struct xenpv_devices **devices);

/*
 * Looks, if there is reason to: at first, and after a watch has fired. `now` in milliseconds of a
 * clock that never goes back. One look at all devices at the most.
 *
 * 0: what is there has been seen. XENPV_PENDING: the store has not answered yet. In both cases to
 * be called again when the store's wait handle is signalled, and at ->deadline.
 * XENPV_E2BIG: there are more devices, or names, than there is room for. Those that were found are
 * told, but none as removed. XENPV_EACCES, XENPV_ESTORE, XENPV_ENOSPC (no watch is free),
 * XENPV_ENOMEM: nothing can be told for now. After an error the next call looks again.
 */
int xenpv_devices_step(struct xenpv_devices *devices, uint64_t now);

/*
 * When to step though nothing was signalled: 500 ms after the last look, if the quota of watches
 * left no watch for some backend's state; else UINT64_MAX.
 */
uint64_t xenpv_devices_deadline(const struct xenpv_devices *devices);

/*
 * Takes the next event: true; false: there is none until the next step. At first every device is
 * told as added. One that has another backend than before is removed and added again.
 */
bool xenpv_devices_next(struct xenpv_devices *devices, struct xenpv_device_event *event);

/* Gives up what is pending, and all watches. May be stepped again, and then begins anew. */
void xenpv_devices_stop(struct xenpv_devices *devices);

#ifdef __cplusplus
}
#endif
#endif
